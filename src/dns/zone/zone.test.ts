import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatRecord, rcodeName, typeNumber } from "#wire/dns/index.ts";
import { parseZoneFile } from "#wire/zone/index.ts";
import { Zone } from "./zone.ts";

const zoneOf = (origin: string, text: string) => new Zone(origin, parseZoneFile(text, { file: "db", origin }), "db");

/** rcode, `aa` when authoritative, then the three sections with `|` between them. */
function ask(zone: Zone, question: string, dnssecOk = false): string[] {
  const [name, type] = question.split(" ") as [string, string];
  const answer = zone.lookup(`${name}.`, typeNumber(type) ?? 0, dnssecOk);
  const section = (records: Parameters<typeof formatRecord>[0][]) =>
    records.map((record) => formatRecord(record).replace(/ \d+ IN/, ""));
  return [
    `${rcodeName(answer.rcode)}${answer.authoritative ? " aa" : ""}`,
    ...section([...answer.answers]),
    "|",
    ...section([...answer.authorities]),
    "|",
    ...section([...answer.additionals]),
    ...(answer.outside === undefined ? [] : [`→ ${answer.outside}`]),
  ];
}

const soa = "example. SOA ns1.example. host.example. 1 2 3 4 60";

describe("wildcards: the zone of RFC 4592 §2.2.1 and the answers of §2.2.1", () => {
  const zone = zoneOf(
    "example.",
    `$TTL 3600
@ SOA ns1 host 1 2 3 4 60
  NS ns.example.com.
  NS ns.example.net.
* TXT "this is a wildcard"
  MX 10 host1.example.
sub.* TXT "this is not a wildcard"
host1 A 192.0.2.1
_ssh._tcp.host1 SRV 0 0 22 host1
_ssh._tcp.host2 SRV 0 0 22 host2
subdel NS ns.example.com.
       NS ns.example.net.
`,
  );
  const servers = ["|", "example. NS ns.example.com.", "example. NS ns.example.net.", "|"];
  it.each([
    // synthesized from the wildcard
    [
      "host3.example MX",
      ["NOERROR aa", "host3.example. MX 10 host1.example.", ...servers, "host1.example. A 192.0.2.1"],
    ],
    ["foo.bar.example TXT", ["NOERROR aa", 'foo.bar.example. TXT "this is a wildcard"', ...servers]],
    // the wildcard has no such records
    ["host3.example A", ["NOERROR aa", "|", soa, "|"]],
    // the name exists
    ["host1.example MX", ["NOERROR aa", "|", soa, "|"]],
    ["sub.*.example MX", ["NOERROR aa", "|", soa, "|"]],
    // the closest encloser is _tcp.host1, an empty non-terminal, which has no wildcard
    ["_telnet._tcp.host1.example SRV", ["NXDOMAIN aa", "|", soa, "|"]],
    // host2 exists as an empty non-terminal
    ["host2.example MX", ["NOERROR aa", "|", soa, "|"]],
    // delegated
    [
      "host.subdel.example A",
      ["NOERROR", "|", "subdel.example. NS ns.example.com.", "subdel.example. NS ns.example.net.", "|"],
    ],
    // * is a source of synthesis and can be asked for; below it there is no second one
    ["ghost.*.example MX", ["NXDOMAIN aa", "|", soa, "|"]],
    ["*.example TXT", ["NOERROR aa", '*.example. TXT "this is a wildcard"', ...servers]],
  ])("%s", (question, expected) => {
    expect(ask(zone, question)).toEqual(expected);
  });
});

describe("D04 delegation, aliases and denials of a zone (part: RFC 1034 §4.3.2)", () => {
  const zone = zoneOf(
    "example.",
    `$TTL 300
@ SOA ns1 host 1 2 3 4 60
@ NS ns1
ns1 A 192.0.2.53
sub NS ns1.sub
    NS ns.elsewhere.
    DS 1 8 2 00ff
ns1.sub A 192.0.2.54
        AAAA 2001:db8::54
www A 192.0.2.1
alias CNAME www
chain CNAME alias
out CNAME www.other.test.
dead CNAME nothing
down CNAME www.sub
loop CNAME loop
old DNAME new
a.new A 192.0.2.2
far DNAME other.test.
mail MX 10 www
_s._tcp SRV 0 0 80 www
`,
  );
  const ns = "example. NS ns1.example.";
  const referral = [
    "|",
    "sub.example. NS ns1.sub.example.",
    "sub.example. NS ns.elsewhere.",
    "|",
    "ns1.sub.example. A 192.0.2.54",
    "ns1.sub.example. AAAA 2001:db8::54",
  ];
  it.each([
    ["www.sub.example A", ["NOERROR", ...referral]],
    ["sub.example NS", ["NOERROR", ...referral]],
    ["ns1.sub.example A", ["NOERROR", ...referral]],
    [
      "sub.example DS",
      ["NOERROR aa", "sub.example. DS \\# 6 0001080200ff".replace("0001080200ff", "0001080200ff"), "|", ns, "|"],
    ],
    ["example SOA", ["NOERROR aa", soa, "|", ns, "|"]],
    ["example NS", ["NOERROR aa", ns, "|", "|", "ns1.example. A 192.0.2.53"]],
    [
      "chain.example A",
      [
        "NOERROR aa",
        "chain.example. CNAME alias.example.",
        "alias.example. CNAME www.example.",
        "www.example. A 192.0.2.1",
        "|",
        ns,
        "|",
      ],
    ],
    ["chain.example CNAME", ["NOERROR aa", "chain.example. CNAME alias.example.", "|", ns, "|"]],
    ["alias.example AAAA", ["NOERROR aa", "alias.example. CNAME www.example.", "|", soa, "|"]],
    ["out.example A", ["NOERROR aa", "out.example. CNAME www.other.test.", "|", ns, "|", "→ www.other.test."]],
    ["dead.example A", ["NXDOMAIN aa", "dead.example. CNAME nothing.example.", "|", soa, "|"]],
    ["down.example A", ["NOERROR aa", "down.example. CNAME www.sub.example.", ...referral]],
    [
      "a.old.example A",
      [
        "NOERROR aa",
        "old.example. DNAME new.example.",
        "a.old.example. CNAME a.new.example.",
        "a.new.example. A 192.0.2.2",
        "|",
        ns,
        "|",
      ],
    ],
    [
      "x.far.example A",
      [
        "NOERROR aa",
        "far.example. DNAME other.test.",
        "x.far.example. CNAME x.other.test.",
        "|",
        ns,
        "|",
        "→ x.other.test.",
      ],
    ],
    ["old.example A", ["NOERROR aa", "|", soa, "|"]],
    ["mail.example MX", ["NOERROR aa", "mail.example. MX 10 www.example.", "|", ns, "|", "www.example. A 192.0.2.1"]],
    [
      "_s._tcp.example SRV",
      ["NOERROR aa", "_s._tcp.example. SRV 0 0 80 www.example.", "|", ns, "|", "www.example. A 192.0.2.1"],
    ],
    ["_tcp.example A", ["NOERROR aa", "|", soa, "|"]],
    ["nothing.example A", ["NXDOMAIN aa", "|", soa, "|"]],
    ["WwW.eXample A", ["NOERROR aa", "WwW.eXample. A 192.0.2.1", "|", ns, "|"]],
    ["www.example ANY", ["NOERROR aa", "www.example. A 192.0.2.1", "|", ns, "|"]],
  ])("%s", (question, expected) => {
    expect(ask(zone, question)).toEqual(expected);
  });

  it("ends a circle of aliases, and a name that a DNAME makes too long (RFC 6672 §2.2)", () => {
    expect(ask(zone, "loop.example A")).toEqual(["NOERROR aa", "loop.example. CNAME loop.example.", "|", ns, "|"]);
    const long = zoneOf(
      "t.",
      `@ 5 SOA a b 1 2 3 4 5\nd 5 DNAME ${"x".repeat(60)}.${"x".repeat(60)}.${"x".repeat(60)}.\n`,
    );
    expect(ask(long, `${"y".repeat(60)}.${"y".repeat(60)}.d.t A`)[0]).toBe("YXDOMAIN aa");
  });

  it("gives a delegation's DS to who takes DNSSEC records", () => {
    expect(ask(zone, "www.sub.example A", true)).toContain("sub.example. DS \\# 6 0001080200ff");
  });

  it("caps the TTL of denials by the SOA's minimum (RFC 2308 §3)", () => {
    expect(zone.lookup("nothing.example.", 1).authorities[0]?.ttl).toBe(60);
  });

  it("refuses what cannot be served", () => {
    expect(() => zoneOf("example.", "www 5 A 192.0.2.1")).toThrow('file "db" has no SOA record for origin example.');
    expect(() => zoneOf("example.", "@ 5 SOA a b 1 2 3 4 5\n@ 5 NSEC \\# 1 00")).toThrow("signed zone");
    expect(zoneOf("example.", "@ 5 SOA a b 1 2 3 4 5\nwww.other. 5 A 192.0.2.1").outOfZone).toBe(1);
  });

  it("the root as a zone", () => {
    const root = zoneOf(
      ".",
      "$TTL 5\n@ SOA a.root. b.root. 1 2 3 4 5\n@ NS a.root.\na.root. A 192.0.2.1\ntest. NS ns.test.\nns.test. A 192.0.2.2\n",
    );
    expect(ask(root, "www.test A")).toEqual(["NOERROR", "|", "test. NS ns.test.", "|", "ns.test. A 192.0.2.2"]);
    expect(ask(root, "nothing A")[0]).toBe("NXDOMAIN aa");
  });
});

describe("zones: properties", () => {
  const label = fc.constantFrom("a", "b", "*", "c");
  const name = fc.array(label, { maxLength: 3 }).map((labels) => [...labels, "example."].join("."));
  const data = fc.oneof(
    fc.constant("A 192.0.2.1"),
    fc.constant('TXT "t"'),
    name.map((target) => `CNAME ${target}`),
    name.map((target) => `DNAME ${target}`),
    name.map((target) => `NS ${target}`),
    name.map((target) => `MX 1 ${target}`),
  );
  const records = fc.array(fc.tuple(name, data), { maxLength: 12 });
  const apex = "example. 5 SOA a b 1 2 3 4 5\nexample. 5 NS ns.elsewhere.\n";

  it("every question ends; what exists is never denied; denials bear the SOA record; answers bear the name asked", () => {
    fc.assert(
      fc.property(records, name, fc.constantFrom(1, 16, 15, 2, 5, 255), (list, asked, type) => {
        const text = list.map(([owner, value]) => `${owner} 5 ${value}\n`).join("");
        const zone = zoneOf("example.", apex + text);
        const answer = zone.lookup(asked, type);
        const exists = asked === "example." || list.some(([owner]) => owner === asked || owner.endsWith(`.${asked}`));
        const aliases = answer.answers.every(({ type: found }) => found === 5 || found === 39);
        if (exists && answer.answers.length === 0) expect(answer.rcode).not.toBe(3);
        if (answer.rcode === 3) expect([aliases, answer.authorities[0]?.type]).toEqual([true, 6]);
        if (!answer.authoritative) expect(answer.authorities.every(({ type: found }) => found === 2)).toBe(true);
        const own = answer.answers.filter(({ type: found }) => found !== 39);
        if (own[0]) expect(own[0].name).toBe(asked);
        expect(answer.answers.length).toBeLessThan(60);
      }),
      { numRuns: 400 },
    );
  });
});
