import { beforeAll, describe, expect, it } from "vitest";
import type { Result } from "../support/cluster.ts";
import { guestProgram, inGuest } from "../support/guest.ts";
import { installation } from "../support/installation.ts";

const SECONDS = 240;
const guest = guestProgram();
const { node, program, tools } = installation();

/** What stock systems have, where a developer's machine may be more generous. */
const STOCK = "net.core.wmem_max=212992 net.core.rmem_max=212992 net.ipv4.ip_forward=0";

/** Sections of the output begin with a line `== name`. */
const SCRIPT = `
sysctl -q -w ${STOCK}
export XDG_STATE_HOME=/tmp/state PODWIRE_TOOLS=${tools.replace(/\/root$/, "")}
podwire() { ${node} ${program}/podwire.cjs "$@"; }
${node} ${program}/podwire.cjs up > /tmp/up.log 2>&1 & up=$!
until grep -q "Ctrl-C ends" /tmp/up.log; do kill -0 $up || break; sleep 0.5; done
echo "== up"; cat /tmp/up.log
ingress=$(podwire status --json | grep -o "http://127.0.0.1:[0-9]*")
echo "== wear"; curl -s "$ingress/wear"
echo "== watch"; curl -s "$ingress/watch"
echo "== check"; podwire check; echo "code $?"
echo "== proc"; podwire exec node01 -- ps -eww -o args=
echo "== devices"; podwire exec node01 -- ip -o link
kill -INT $up; wait $up; echo "== end"; echo "code $?"; ls -A /tmp/state/podwire | grep -vx _images
echo "== forward"; cat /proc/sys/net/ipv4/ip_forward
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

  it("nothing is left behind, the kernel's settings are as before", () => {
    expect(sections["end"]).toBe("code 0\n");
    expect(sections["forward"]).toBe("0\n");
    expect(sections["processes"]).toBe("0\n");
  });
});
