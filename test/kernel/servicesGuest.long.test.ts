import { existsSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { guestProgram, inGuest } from "../support/guest.ts";
import { checkout, installation } from "../support/installation.ts";

const SECONDS = 100;
const guest = guestProgram();
const programs = join(installation().tools, "usr/sbin");
const hasLegacy = existsSync(join(programs, "iptables-legacy"));
const names = ["iptables", "ip6tables"].flatMap((name) => ["", "-save", "-restore"].map((kind) => [name, kind]));

/** Its kernel puts tunnel devices into new namespaces, where tests number devices themselves. */
const SCRIPT = `
sysctl -q -w net.core.fb_tunnels_only_for_init_net=1
mkdir /tmp/legacy
${names.map(([name, kind]) => `ln -s ${programs}/${name}-legacy${kind} /tmp/legacy/${name}${kind}`).join("\n")}
export PATH=/tmp/legacy:$PATH LD_LIBRARY_PATH=${process.env["LD_LIBRARY_PATH"]} XTABLES_LIBDIR=${process.env["XTABLES_LIBDIR"]}
cd ${checkout}
scripts/node test/support/guestServices.ts nftables iptables
`;

const protocols = ["TCP", "UDP", "SCTP"];

/** Kubernetes' promises, by question: policy Local and source ranges for the load balancer. */
const expected = Object.fromEntries(
  ["IPv4", "IPv6"].flatMap((family) =>
    protocols.flatMap((protocol) => [
      [`${family} ${protocol}: pod1 to the ClusterIP`, "pod2 sees pod1"],
      [`${family} ${protocol}: outside to the NodePort`, "pod2 sees the node"],
      [`${family} ${protocol}: outside to the limited load balancer`, "pod2 sees outside"],
      [`${family} ${protocol}: pod1 to the limited load balancer`, "silence"],
    ]),
  ),
);

/** What is missing for it. */
const missing = [
  ...(guest === undefined ? ["no guest kernel is installed (PODWIRE_TEST_GUEST)"] : []),
  ...(hasLegacy ? [] : [`${programs} has no iptables-legacy`]),
];
const skipped = missing.length ? { skip: true, meta: { skipReason: missing.join("; ") } } : {};

describe("V02 V04 Services on another kernel (part: SCTP by sockets of the kernel, iptables-legacy)", skipped, () => {
  let outcomes: Record<string, unknown>;
  beforeAll(async () => {
    const { stdout, stderr } = await inGuest(guest as string, SCRIPT, SECONDS);
    expect(stdout, stderr).toMatch(/^\{.*\}\n$/);
    outcomes = JSON.parse(stdout) as Record<string, unknown>;
  }, SECONDS * 1000);

  it("nftables: TCP, UDP and SCTP arrive, and as they should", () => {
    expect(outcomes["nftables"]).toMatchObject(expected);
  });

  it("iptables by its legacy programs: the same, and a restart writes nothing", () => {
    expect(outcomes["version"]).toMatch(/\(legacy\)$/);
    expect(outcomes["iptables"]).toMatchObject({ ...expected, "written after a restart": "" });
  });

  it("cleanup leaves nothing that leads to an endpoint", () => {
    for (const mode of ["nftables", "iptables"]) expect(outcomes[mode]).toMatchObject({ "after cleanup": "ETIMEDOUT" });
  });
});
