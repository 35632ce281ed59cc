import { beforeAll, describe, expect, it } from "vitest";
import type { Result } from "../support/cluster.ts";
import { guestProgram, inGuest } from "../support/guest.ts";
import { installation } from "../support/installation.ts";

const SECONDS = 300;
const guest = guestProgram();
const { node, program, tools } = installation();

/** What stock systems have, where a developer's machine may be more generous. */
const STOCK = "net.core.wmem_max=212992 net.core.rmem_max=212992 net.ipv4.ip_forward=0";

/** One that takes more memory than it may, and one that does not. */
function podList(): object {
  const pod = (name: string, command: string) => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    spec: {
      restartPolicy: "Never",
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: "c",
          image: "busybox",
          command: ["sh", "-c", command],
          resources: { limits: { memory: "24Mi", cpu: "500m" }, requests: { cpu: "250m" } },
        },
      ],
    },
  });
  return { apiVersion: "v1", kind: "List", items: [pod("greedy", "tail /dev/zero"), pod("calm", "exec sleep 1000")] };
}

/** Sections of the output begin with a line `== name`. */
const SCRIPT = `
sysctl -q -w ${STOCK}
export XDG_STATE_HOME=/tmp/state PODWIRE_TOOLS=${tools.replace(/\/root$/, "")}
podwire() { ${node} ${program}/podwire.cjs "$@"; }
echo "+cpu +memory +pids" > /sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/scope
sh -c 'echo $$ > /sys/fs/cgroup/scope/cgroup.procs; exec "$@"' sh ${node} ${program}/podwire.cjs up > /tmp/up.log 2>&1 & up=$!
until grep -q "Ctrl-C ends" /tmp/up.log; do kill -0 $up || break; sleep 0.5; done
echo "== up"; cat /tmp/up.log
ingress=$(podwire status --json | grep -o "http://127.0.0.1:[0-9]*")
echo "== wear"; curl -s "$ingress/wear"
echo "== watch"; curl -s "$ingress/watch"
echo "== check"; podwire check; echo "code $?"
echo "== proc"; podwire exec node01 -- ps -eww -o args=
echo "== devices"; podwire exec node01 -- ip -o link
cat > /tmp/pods.json << 'END'
${JSON.stringify(podList())}
END
api() { kubectl --kubeconfig "$(podwire kubeconfig)" "$@"; }
api apply -f /tmp/pods.json
api wait --for=jsonpath='{.status.phase}'=Failed pod/greedy --timeout=120s
api wait --for=condition=Ready pod/calm --timeout=120s
echo "== greedy"; api get pod greedy -o 'jsonpath={.status.containerStatuses[0].state.terminated}'; echo
echo "== told"; api get events -o 'jsonpath={range .items[?(@.reason=="UnsupportedFields")]}{.message} {end}'; echo
echo "== joined"; api exec calm -- cat /proc/self/cgroup /sys/fs/cgroup/memory.max
group=$(dirname "$(find /sys/fs/cgroup/scope -path "*/pod$(api get pod calm -o 'jsonpath={.metadata.uid}')/*/cgroup.procs")")
echo "== group"; cd "$group"; for name in memory.max memory.oom.group cpu.weight; do echo "$name $(cat $name)"; done; wc -l < cgroup.procs
echo "== pod"; cd ..; cat memory.max cpu.weight; cd /
api delete pod calm greedy --now > /dev/null; echo "== groups"; ls -d "$group" 2>&1 | grep -c "No such"
kill -INT $up; wait $up; echo "== end"; echo "code $?"; ls -A /tmp/state/podwire | grep -vx _images
echo "== forward"; cat /proc/sys/net/ipv4/ip_forward
echo "== tree"; find /sys/fs/cgroup/scope -type d; cat /sys/fs/cgroup/scope/cgroup.subtree_control
echo "== processes"; ps -eww -o args= | grep -cE "[p]odwire|[k]ubelet"
`;

const skipped = guest ? {} : { skip: true, meta: { skipReason: "no guest kernel is installed (PODWIRE_TEST_GUEST)" } };

describe("on Linux 6.1 with stock settings", skipped, () => {
  let result: Result;
  const sections: Record<string, string> = {};

  beforeAll(async () => {
    result = await inGuest(guest as string, SCRIPT, SECONDS);
    for (const part of result.stdout.split(/^== /m).slice(1)) {
      const [name = "", ...lines] = part.split("\n");
      sections[name] = lines.join("\n");
    }
  }, SECONDS * 1000);

  it("U02 G02 P01 K02 the shop comes up and answers, every packet arrives (part: another kernel)", () => {
    expect(sections["up"]).toContain("First answer through the ingress");
    expect(sections["wear"]).toBe("Welcome to the wear store\n");
    expect(sections["watch"]).toBe("Welcome to the watch store\n");
    expect(sections["check"]).toContain("every pod reaches every pod on other nodes");
    expect(sections["check"]).not.toContain("✗");
    expect(sections["check"]).toMatch(/code 0\n$/);
  });

  it("/proc of a node is its own where procfs has no option for it", () => {
    const lines = (sections["proc"] ?? "").trim().split("\n");
    expect(lines[0]).toMatch(/^\/usr\/bin\/tini/);
    expect(lines.filter((line) => line.includes("--hostname-override="))).toHaveLength(1);
  });

  it("K04 eth0 is there beside devices that the kernel puts into every namespace (part: another kernel)", () => {
    expect(sections["devices"]).toMatch(/ eth0@/);
  });

  it("limits bind where a control group is delegated: too much memory ends a container", () => {
    // Upstream's words: containerd's reason, and 128 + SIGKILL.
    expect(JSON.parse(sections["greedy"] ?? "")).toMatchObject({ exitCode: 137, reason: "OOMKilled" });
    // kubelet's formulas: 250m are 256 shares, and 1 + (256 - 2) * 9999 / 262142 is 10.
    expect(sections["group"]).toBe("memory.max 25165824\nmemory.oom.group 1\ncpu.weight 10\n1\n");
    expect(sections["pod"]).toBe("25165824\n10\n");
    // Its own group is the root of all that a container sees (containerd's default with version 2).
    expect(sections["joined"]).toBe("0::/\n25165824\n");
    expect(sections["groups"]).toBe("1\n");
  });

  it("limits that this kernel cannot bind are said: it has no cpu.max", () => {
    expect(sections["told"]).toContain("this machine's control groups bind only limits of memory");
  });

  it("no control group is left behind", () => {
    expect(sections["tree"]?.trim()).toBe("/sys/fs/cgroup/scope");
  });

  it("nothing is left behind, the kernel's settings are as before", () => {
    expect(sections["end"]).toBe("code 0\n");
    expect(sections["forward"]).toBe("0\n");
    expect(sections["processes"]).toBe("0\n");
  });
});
