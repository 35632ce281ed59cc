import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatData, formatRecord, RecordType, type ResourceRecord, typeName, typeNumber } from "#wire/dns/index.ts";
import { parseRecord, parseZoneFile, ZoneFileError } from "./index.ts";

const options = { file: "db", origin: "example.org.", defaultTtl: 300 };
const lines = (text: string, more: Partial<Parameters<typeof parseZoneFile>[1]> = {}) =>
  parseZoneFile(text, { ...options, ...more }).map(formatRecord);
const refusal = (text: string): string => {
  try {
    parseZoneFile(text, { file: "db", origin: "example.org." });
  } catch (error) {
    if (error instanceof ZoneFileError) return error.message;
    throw error;
  }
  return "";
};

describe("master files", () => {
  it("the example of RFC 1035 §5.3", () => {
    const text = `
@   IN  SOA     VENERA      Action\\.domains (
                                 20     ; SERIAL
                                 7200   ; REFRESH
                                 600    ; RETRY
                                 3600000; EXPIRE
                                 60)    ; MINIMUM

        NS      A.ISI.EDU.
        NS      VENERA
        NS      VAXA
        MX      10      VENERA
        MX      20      VAXA

A       A       26.3.0.103

VENERA  A       10.1.0.52
        A       128.9.0.32

$INCLUDE <SUBSYS>ISI-MAILBOXES.TXT
`;
    const included = "MOE     MB      A.ISI.EDU.\nSTOOGES MG      MOE\n";
    const records = lines(text, {
      origin: "ISI.EDU.",
      readInclude: (name) => {
        expect(name).toBe("<SUBSYS>ISI-MAILBOXES.TXT");
        return { file: name, text: included };
      },
    });
    expect(records).toEqual([
      "ISI.EDU. 60 IN SOA VENERA.ISI.EDU. Action\\.domains.ISI.EDU. 20 7200 600 3600000 60",
      "ISI.EDU. 60 IN NS A.ISI.EDU.",
      "ISI.EDU. 60 IN NS VENERA.ISI.EDU.",
      "ISI.EDU. 60 IN NS VAXA.ISI.EDU.",
      "ISI.EDU. 60 IN MX 10 VENERA.ISI.EDU.",
      "ISI.EDU. 60 IN MX 20 VAXA.ISI.EDU.",
      "A.ISI.EDU. 60 IN A 26.3.0.103",
      "VENERA.ISI.EDU. 60 IN A 10.1.0.52",
      "VENERA.ISI.EDU. 60 IN A 128.9.0.32",
      "MOE.ISI.EDU. 60 IN MB A.ISI.EDU.",
      "STOOGES.ISI.EDU. 60 IN MG MOE.ISI.EDU.",
    ]);
  });

  it("$ORIGIN, $TTL with units, TTL and class in either order, quoting and escapes", () => {
    expect(
      lines(`$TTL 1h30m
www IN 5m A 192.0.2.1
    1d IN AAAA 2001:db8::1
$ORIGIN sub
@ TXT "a;b" c\\"d "\\065\\\\" ; comment
a\\.b.@ CNAME @
`),
    ).toEqual([
      "www.example.org. 300 IN A 192.0.2.1",
      "www.example.org. 86400 IN AAAA 2001:db8::1",
      'sub.example.org. 5400 IN TXT "a;b" "c\\"d" "A\\\\"',
      "a\\.b.@.sub.example.org. 5400 IN CNAME sub.example.org.",
    ]);
  });

  it("$GENERATE as BIND's manual shows it", () => {
    expect(
      lines("$ORIGIN 0.0.192.in-addr.arpa.\n$GENERATE 1-2 @ NS SERVER$.EXAMPLE.\n$GENERATE 1-3/2 $ CNAME $.0"),
    ).toEqual([
      "0.0.192.in-addr.arpa. 300 IN NS SERVER1.EXAMPLE.",
      "0.0.192.in-addr.arpa. 300 IN NS SERVER2.EXAMPLE.",
      "1.0.0.192.in-addr.arpa. 300 IN CNAME 1.0.0.0.192.in-addr.arpa.",
      "3.0.0.192.in-addr.arpa. 300 IN CNAME 3.0.0.0.192.in-addr.arpa.",
    ]);
    // biome-ignore lint/suspicious/noTemplateCurlyInString: BIND writes modifiers so
    expect(lines("$GENERATE 10-11 dhcp-${0,4,X} 60 IN A 10.0.0.${-5}")).toEqual([
      "dhcp-000A.example.org. 60 IN A 10.0.0.5",
      "dhcp-000B.example.org. 60 IN A 10.0.0.6",
    ]);
  });

  it.each([
    // RFC 3597 §5: any type by number, known types in the unknown form
    ["e TYPE731 \\# 6 abcd ( ef 01 23 45 )", "TYPE731 \\# 6 abcdef012345"],
    ["e CLASS1 TYPE1 \\# 4 0A000001", "A 10.0.0.1"],
    // RFC 2782, 3403, 8659, 4255, 6698, 4034, 7553
    ["e SRV 0 5 80 web", "SRV 0 5 80 web.example.org."],
    ['e CAA 0 issue "ca.example.net"', `CAA \\# 21 ${hex("\0\x05issueca.example.net")}`],
    [
      "e SSHFP 2 1 123456789abcdef67890123456789abcdef67890",
      "SSHFP \\# 22 0201123456789abcdef67890123456789abcdef67890",
    ],
    ["e TLSA 0 0 1 d2abde24", "TLSA \\# 7 000001d2abde24"],
    [
      "e DS 60485 5 1 ( 2BB183AF5F22588179A53B0A 98631FAD1A292118 )",
      "DS \\# 24 ec4505012bb183af5f22588179a53b0a98631fad1a292118",
    ],
    ["e DNSKEY 256 3 5 AQID", "DNSKEY \\# 7 0100030501020" + "3"],
    ['e URI 10 1 "ftp://a"', `URI \\# 11 000a0001${hex("ftp://a")}`],
    ['e HINFO PC "Plan 9"', 'HINFO "PC" "Plan 9"'],
    ["e RP me txt", "RP me.example.org. txt.example.org."],
    // RFC 9460 D.1 and D.2: figures 2 to 5
    ["e HTTPS 0 foo.example.com.", "HTTPS \\# 19 00000" + "3666f6f076578616d706c6503636f6d00"],
    ["e SVCB 16 foo.example.com. port=53", "SVCB \\# 25 001003666f6f076578616d706c6503636f6d00000300020035"],
    [
      'e SVCB 1 foo.example.com. ipv6hint="2001:db8::1,2001:db8::53:1"',
      "SVCB \\# 55 000103666f6f076578616d706c6503636f6d0000060020" +
        "20010db800000000000000000000000120010db8000000000000000000530001",
    ],
    [
      "e SVCB 16 foo.example.org. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1",
      "SVCB \\# 48 001003666f6f076578616d706c65036f7267000000000400010004000100090268320568332d3139000400" +
        "04c0000201",
    ],
    // RFC 1876 §4, the first example
    ["e LOC 42 21 54 N 71 06 18 W -24m 30m", "LOC \\# 16 003316138917" + "2dd070be15f000988d20"],
  ])("%s", (text, expected) => {
    expect(lines(text)).toEqual([`e.example.org. 300 IN ${expected}`]);
  });

  it.each([
    ["a A 10.0.0.1", "db:1: missing TTL with no previous value"],
    ["$TTL 1\n\n  A 10.0.0.1", "db:3: record without an owner, and none before it"],
    ["$TTL 1\na A 10.0.0.256", 'db:2: bad A "10.0.0.256"'],
    ["$TTL 1\na AAAA 10.0.0.1", 'db:2: bad AAAA "10.0.0.1"'],
    ["$TTL 1\na A 10.0.0.1 x", 'db:2: garbage after rdata: "x"'],
    ["$TTL x", 'db:1: expecting $TTL value, not this: "x"'],
    ["$BOGUS", "db:1: unknown directive $BOGUS; allowed: $ORIGIN, $TTL, $INCLUDE, $GENERATE"],
    ["$INCLUDE other", "db:1: $INCLUDE is not allowed here"],
    ["a 5 MX ( 10\nb", "db:1: unbalanced brace: ( has no )"],
    ["a 5 MX 10 b )", "db:1: extra closing brace: ) has no ("],
    ['a 5 TXT "x', "db:1: the quotes opened here do not end"],
    ["a 5 BOGUS x", 'db:1: unknown RR type "BOGUS"'],
    ["a 5 MX 10", "db:1: MX record without all of its parts"],
    ["a 5 A \\# 3 0A0000", "db:1: bad data of a A record: address of 3 bytes"],
    ["a 5 A \\# 5 0A000001", "db:1: bad RFC 3597 data: 4 bytes after \\# 5"],
    ["$GENERATE 1-70000 a$ 5 A 10.0.0.1", "db:1: bad $GENERATE range 1-70000; at most 65536 lines"],
    [`${"a".repeat(64)} 5 A 10.0.0.1`, "db:1: bad domain name"],
    ["a 5 WKS 10.0.0.1 tcp 25", "db:1: WKS records have no form of their own here; expected \\# LENGTH HEX"],
  ])("refuses %j", (text, expected) => {
    expect(refusal(text)).toContain(expected);
  });

  it("bounds includes and the number of records", () => {
    const readInclude = (name: string) => ({ file: name, text: "$INCLUDE again" });
    expect(() => lines("$INCLUDE again", { readInclude })).toThrow("too deeply nested $INCLUDE");
    expect(() => lines("$GENERATE 1-9 a$ A 10.0.0.1", { maxRecords: 5 })).toThrow("more than 5 records");
  });

  it("reads a single record as templates make them", () => {
    expect(formatRecord(parseRecord("foogle.com CNAME google.com", "t"))).toBe("foogle.com. 3600 IN CNAME google.com.");
    expect(() => parseRecord("", "t")).toThrow(ZoneFileError);
  });
});

describe("master files: properties", () => {
  const label = fc
    .uint8Array({ minLength: 1, maxLength: 20 })
    .map((bytes) => Array.from(bytes, (byte) => `\\${String(byte).padStart(3, "0")}`).join(""));
  const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => `${labels.join(".")}.`);
  const record = fc.record({
    name,
    ttl: fc.nat(0x7fffffff),
    type: fc.integer({ min: 1, max: 65_535 }).filter((type) => type !== RecordType.OPT),
    bytes: fc.uint8Array({ maxLength: 40 }),
  });

  it("what is written in RFC 3597's form reads as the same record", () => {
    fc.assert(
      fc.property(record, ({ name: owner, ttl, type, bytes }) => {
        const hexText = Buffer.from(bytes).toString("hex");
        const text = `${owner} ${ttl} ${typeName(type)} \\# ${bytes.length} ${hexText}`;
        let read: ResourceRecord;
        try {
          read = parseRecord(text, "p");
        } catch (error) {
          expect(error).toBeInstanceOf(ZoneFileError); // bytes that are no data of this type
          return;
        }
        expect([read.ttl, read.type]).toEqual([ttl, type]);
        // Types with parts of bytes have no written form of the codec's.
        if (read.data.kind === "parts") return;
        expect(parseRecord(`. 0 ${typeName(type)} ${formatData(read.data) || "\\# 0"}`, "p").data).toEqual(read.data);
      }),
      { numRuns: 300 },
    );
  });

  it("any text ends in records or in a ZoneFileError", () => {
    const word = fc.oneof(
      fc.constantFrom(
        "$ORIGIN",
        "$TTL",
        "$GENERATE",
        "$INCLUDE",
        "@",
        "IN",
        "CH",
        "(",
        ")",
        '"',
        ";",
        "\n",
        " ",
        "\\",
        "1-3",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: BIND writes modifiers so
        "${0,3,x}",
        "\\#",
        "300",
        "1h",
      ),
      fc.constantFrom(...Object.keys(RecordType)),
      fc.string({ maxLength: 6 }),
      fc.ipV4(),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 40 }), fc.constantFrom("", " "), (words, gap) => {
        try {
          for (const { type } of parseZoneFile(words.join(gap), { ...options, maxRecords: 1000 })) {
            expect(typeNumber(typeName(type))).toBe(type);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(ZoneFileError);
        }
      }),
      { numRuns: 500 },
    );
  });
});

function hex(text: string): string {
  return Buffer.from(text, "latin1").toString("hex");
}
