import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ifEbpf } from "../kernel/ebpfHarness.ts";
import { guestProgram, inGuest } from "../support/guest.ts";
import { comparesWholeHost } from "../support/host.ts";
import { installation } from "../support/installation.ts";
import { killRound, random } from "../support/kills.ts";
import { makeStaging, type Staging } from "../support/staging.ts";

const SEED = Number(process.env["PODWIRE_TEST_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const ROUNDS = 20;

describe("a privileged cluster, killed at a random moment", ifEbpf(), () => {
  let staging: Staging;
  beforeAll(() => {
    staging = makeStaging();
  });
  afterAll(() => staging.remove());

  comparesWholeHost();

  it(`leaves nothing behind on the host (${ROUNDS} kills, seed ${SEED})`, { timeout: ROUNDS * 15_000 }, async () => {
    const pick = random(SEED);
    const flags = ["--nodes", "2", "--privileged", "--proxy-mode", "ebpf"];
    for (let round = 0; round < ROUNDS; round++) {
      const { kill, left, state } = await killRound({ staging, flags }, pick, 3000);
      const where = { seed: SEED, round, kill };
      expect({ ...where, left, state }).toEqual({ ...where, left: {}, state: [] });
    }
  });
});

const SECONDS = 280;
const guest = guestProgram();
const { node, program, tools } = installation();

/** Asks until the answer has a word, for a minute at most. Sections of the output begin with a line `== name`. */
const SCRIPT = `
export XDG_STATE_HOME=/tmp/state PODWIRE_TOOLS=${tools.replace(/\/root$/, "")}
podwire() { ${node} ${program}/podwire.cjs "$@"; }
until_said() { for i in $(seq 60); do "$2" | grep -q "$1" && return; sleep 1; done; }
echo "+memory +pids" > /sys/fs/cgroup/cgroup.subtree_control
${node} ${program}/podwire.cjs up --nodes 2 --example none --ingress none --privileged --proxy-mode ipvs > /tmp/up.log 2>&1 & up=$!
until grep -q "Ctrl-C ends" /tmp/up.log; do kill -0 $up || break; sleep 0.5; done
api() { kubectl --kubeconfig "$(podwire kubeconfig)" "$@"; }
servers() { podwire exec node01 -- ipvsadm -Ln; }
until_said 10.96.0.10:53 servers
echo "== servers"; servers
echo "== device"; podwire exec node01 -- ip -br addr show kube-ipvs0
api run box --image=podwire/toolbox --overrides='{"apiVersion":"v1","spec":{"nodeName":"node01","containers":[{"name":"box","image":"podwire/toolbox","command":["sleep","infinity"],"resources":{"limits":{"memory":"64Mi"}}}]}}'
api wait --for=condition=Ready pod/box --timeout=60s
echo "== version"; api exec box -- curl -sk -m 20 https://10.96.0.1/version
echo "== limit"; api exec box -- cat /sys/fs/cgroup/memory.max
echo "== explain"; podwire services explain kubernetes --node node01
kill -9 $up; wait $up
for i in $(seq 60); do [ -z "$(find /sys/fs/cgroup -mindepth 1 -type d)" ] && break; sleep 1; done
echo "== left"; find /sys/fs/cgroup -mindepth 1 -type d
`;

const unlessGuest = guest
  ? {}
  : { skip: true, meta: { skipReason: "no guest kernel is installed (PODWIRE_TEST_GUEST)" } };

describe("a privileged cluster on a kernel with IPVS", unlessGuest, () => {
  it("V04 its nodes have the mode ipvs, its pods have limits, nothing is left after a kill (part: ipvs in a lab)", {
    timeout: (SECONDS + 20) * 1000,
  }, async () => {
    const { stdout, stderr } = await inGuest(guest as string, SCRIPT, SECONDS);
    const said = Object.fromEntries(
      stdout
        .split(/^== /m)
        .slice(1)
        .map((part) => [part.slice(0, part.indexOf("\n")), part.slice(part.indexOf("\n") + 1)]),
    );
    expect({ stderr, servers: said["servers"] }).toMatchObject({
      servers: expect.stringMatching(/TCP {2}10\.96\.0\.1:443 rr *\n {2}-> 192\.168\.1\.10:6443 +Masq/),
    });
    expect(said["device"]).toMatch(/^kube-ipvs0 +DOWN +.*10\.96\.0\.10\/32/);
    expect(said["version"]).toContain('"gitVersion"');
    expect(said["limit"]).toBe("67108864\n");
    expect(said["explain"]).toMatch(/^Service default\/kubernetes on node01, mode ipvs\n\n/);
    expect(said["left"]).toBe("");
  });
});
