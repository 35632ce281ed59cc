import { describe, expect, it } from "vitest";
import { edns, refusal, shown, testBlock } from "../../plugins/testBlock.ts";

describe("acl", () => {
  it("blocks, filters, drops and allows by zone, type and network; the first rule that fits decides", async () => {
    const { ask, metrics } = await testBlock(`. {
  acl example.org {
    allow net 192.0.2.0/24 type A
    block type A AAAA net 192.0.2.0/24 2001:db8::/32
    filter net 198.51.100.1
    drop net 203.0.113.0/24
  }
  acl {
    block net 192.0.2.0/24
  }
  whoami
}`);
    expect(shown(await ask("www.example.org. A"))).toEqual(["NOERROR"]);
    expect(shown(await ask("www.example.org. AAAA"))).toEqual(["REFUSED"]);
    expect(shown(await ask("www.example.org. MX"))).toEqual(["REFUSED"]); // by the second acl
    expect(shown(await ask("www.example.org. A", { from: "2001:db8::1" }))).toEqual(["REFUSED"]);
    const filtered = await ask("www.example.org. A", { from: "198.51.100.1", edns: edns(1232) });
    expect([filtered?.additionals, filtered?.edns?.options]).toEqual([[], [{ code: 15, data: Uint8Array.of(0, 17) }]]);
    expect(await ask("www.example.org. A", { from: "203.0.113.7" })).toBeUndefined();
    expect(shown(await ask("www.example.net. A", { from: "203.0.113.7" }))).toEqual(["NOERROR"]);
    expect(metrics.text()).toContain(
      'coredns_acl_blocked_requests_total{server="dns://:53",zone="example.org.",view=""} 2',
    );
  });

  it.each([
    ["deny net *", "unexpected token 'deny'; expect 'allow', 'block', 'filter' or 'drop'"],
    ["block net 10.0.0.0/99", "illegal CIDR notation '10.0.0.0/99'"],
    ["block type BOGUS", "unexpected token 'BOGUS'; expect legal QTYPE"],
    ["block net", "no token specified in 'net' section"],
    ["block 10.0.0.0/8", "unexpected token '10.0.0.0/8'; expect 'type | net | file'"],
    ["block file /nowhere/at/all", "unable to load networks from local file:"],
  ])("refuses %s", async (line, message) => {
    expect(await refusal(`. {\n acl {\n  ${line}\n }\n}`)).toContain(`Corefile:3: ${message}`);
  });
});
