import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseIp } from "#base/ip.ts";
import {
  addressOfReverseName,
  DnsError,
  decodeMessage,
  encodeMessage,
  encodeTruncated,
  formatRecord,
  isSubdomain,
  labelsOf,
  labelText,
  type Message,
  parentName,
  parseName,
  query,
  type RecordData,
  RecordType,
  type ResourceRecord,
  reverseName,
  reverseZones,
  typeName,
  typeNumber,
} from "./index.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const bytesOf = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));
const a = (name: string, ip: string, ttl = 30): ResourceRecord => ({
  name,
  type: RecordType.A,
  class: 1,
  ttl,
  data: { kind: "address", address: parseIp(ip).bytes },
});

describe("DNS messages: golden bytes", () => {
  it("writes a query as RFC 1035 §4.1 lays it out", () => {
    expect(hex(encodeMessage(query(0x1234, { name: "example.org.", type: 1, class: 1 })))).toBe(
      "123401000001000000000000" + "076578616d706c65036f726700" + "00010001",
    );
  });

  it("reads the compression example of RFC 1035 §4.1.4", () => {
    // F.ISI.ARPA at 20, FOO.F.ISI.ARPA by pointer, ARPA by pointer into the first, then the root.
    const header = "0000 8000 0000 0004 0000 0000";
    const filler = "00 0001 0001 0000 0000 0000"; // a record owned by the root, without data: 11 bytes less one at 12..22
    const start = 12 + bytesOf(filler).length;
    const pointer = (offset: number) => (0xc000 | offset).toString(16);
    const rest = "0001 0001 0000 0000 0000";
    const bytes = bytesOf(
      `${header} ${filler} 0146 03495349 0441525041 00 ${rest} 03464f4f ${pointer(start)} ${rest} ${pointer(start + 6)} ${rest}`,
    );
    expect(decodeMessage(bytes).answers.map((record) => record.name)).toEqual([
      ".",
      "F.ISI.ARPA.",
      "FOO.F.ISI.ARPA.",
      "ARPA.",
    ]);
  });

  it("compresses owners and targets against earlier names, case kept", () => {
    const message: Message = {
      ...query(1, { name: "Www.Example.org.", type: 1, class: 1 }),
      response: true,
      answers: [
        { name: "Www.Example.org.", type: 5, class: 1, ttl: 60, data: { kind: "name", target: "host.Example.org." } },
        a("host.Example.org.", "192.0.2.1"),
      ],
    };
    const bytes = encodeMessage(message);
    expect(hex(bytes)).toBe(
      "000181000001000200000000" +
        "03577777074578616d706c65036f7267000001" +
        "0001" +
        "c00c000500010000003c0007" +
        "04686f7374c010" +
        "c02d000100010000001e0004c0000201",
    );
    expect(decodeMessage(bytes)).toEqual(message);
  });

  it("does not compress SRV targets (RFC 2782) and reads EDNS (RFC 6891)", () => {
    const message: Message = {
      ...query(7, { name: "_http._tcp.a.", type: 33, class: 1 }),
      rcode: 16,
      answers: [
        {
          name: "_http._tcp.a.",
          type: 33,
          class: 1,
          ttl: 5,
          data: { kind: "srv", priority: 0, weight: 100, port: 80, target: "a." },
        },
      ],
      edns: { udpSize: 1232, version: 0, dnssecOk: true, options: [{ code: 10, data: bytesOf("0102030405060708") }] },
    };
    const bytes = encodeMessage(message);
    expect(hex(bytes)).toContain("0000006400500161" + "00");
    expect(hex(bytes).endsWith("00" + "0029" + "04d0" + "01008000" + "000c" + "000a00080102030405060708")).toBe(true);
    expect(decodeMessage(bytes)).toEqual(message);
  });
});

describe("DNS messages: what is refused", () => {
  const header = "0000 0000 0001 0000 0000 0000";
  it.each([
    ["an empty packet", "", "truncated"],
    ["a pointer to itself", `${header} c00c 0001 0001`, "bad-pointer"],
    ["a pointer forward", `${header} c010 0001 0001 00`, "bad-pointer"],
    ["a loop through a label", `${header} 0161 c00c 0001 0001`, "bad-pointer"],
    ["a pointer into the header", `${header} c000 0001 0001`, "bad-pointer"],
    ["label type 1", `${header} 41 00 0001 0001`, "bad-name"],
    ["a name without end", `${header} 0361 6263`, "truncated"],
    ["an A record of 3 bytes", "0000 8000 0000 0001 0000 0000 00 0001 0001 00000000 0003 010203", "bad-rdata"],
    ["a name beyond its record", "0000 8000 0000 0001 0000 0000 00 0005 0001 00000000 0001 0161 00", "truncated"],
    [
      "two OPT records",
      "0000 0000 0000 0000 0000 0002 000029 1000 00000000 0000 000029 1000 00000000 0000",
      "bad-value",
    ],
  ])("%s", (_what, text, code) => {
    try {
      decodeMessage(bytesOf(text));
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(DnsError);
      expect((error as DnsError).code).toBe(code);
    }
  });
});

describe("DNS messages: truncation", () => {
  const question = { name: "big.example.", type: 1, class: 1 };
  const answers = Array.from({ length: 60 }, (_, i) => a("big.example.", `10.0.0.${i}`));
  const message: Message = {
    ...query(1, question),
    response: true,
    answers,
    additionals: [a("x.example.", "10.1.1.1")],
  };
  it("keeps whole records and sets TC", () => {
    const short = decodeMessage(encodeTruncated(message, 512));
    expect(short.truncated).toBe(true);
    expect(short.answers).toEqual(answers.slice(0, short.answers.length));
    expect(short.answers.length).toBe(Math.floor((512 - 12 - 17) / 16));
    expect(short.additionals).toEqual([]);
  });
  it("drops additional records without TC, and keeps EDNS", () => {
    const edns = { udpSize: 1232, version: 0, dnssecOk: false, options: [] };
    const full = encodeMessage({ ...message, edns }).length;
    const short = decodeMessage(encodeTruncated({ ...message, edns }, full - 1));
    expect([short.truncated, short.answers.length, short.additionals.length, short.edns]).toEqual([false, 60, 0, edns]);
  });
});

describe("DNS names", () => {
  it("parses, escapes and refuses", () => {
    expect(parseName("example.org")).toBe("example.org.");
    expect(parseName("")).toBe(".");
    expect(parseName("a\\.b.c.")).toBe("a\\.b.c.");
    expect(parseName("a\\046b.c")).toBe("a\\.b.c.");
    expect(labelsOf("a\\.b.c.")).toEqual(["a\\.b", "c"]);
    expect(parentName("a\\.b.c.")).toBe("c.");
    for (const bad of ["a..b", ".a", `${"x".repeat(64)}.`, `${"abcdefg.".repeat(32)}`, "a\\", "\\999.", "é.org"]) {
      expect(() => parseName(bad), bad).toThrow(DnsError);
    }
  });
  it("knows subdomains by label", () => {
    expect(isSubdomain("a.cluster.local.", "cluster.local.")).toBe(true);
    expect(isSubdomain("cluster.local.", "cluster.local.")).toBe(true);
    expect(isSubdomain("mycluster.local.", "cluster.local.")).toBe(false);
    expect(isSubdomain("a\\.cluster.local.", "cluster.local.")).toBe(false);
    expect(isSubdomain("x.", ".")).toBe(true);
  });
  it("reverses addresses", () => {
    expect(reverseName(parseIp("10.96.0.1"))).toBe("1.0.96.10.in-addr.arpa.");
    // RFC 3596 §2.5
    expect(reverseName(parseIp("4321:0:1:2:3:4:567:89ab"))).toBe(
      "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa.",
    );
    for (const ip of ["10.96.0.1", "fd00::1:2"])
      expect(addressOfReverseName(reverseName(parseIp(ip)))).toEqual(parseIp(ip));
    expect(addressOfReverseName("0.96.10.in-addr.arpa.")).toBeUndefined();
    expect(addressOfReverseName("01.0.96.10.in-addr.arpa.")).toBeUndefined();
    expect(reverseZones({ ip: parseIp("10.0.0.0"), prefix: 24 })).toEqual(["0.0.10.in-addr.arpa."]);
    expect(reverseZones({ ip: parseIp("10.0.2.0"), prefix: 23 })).toEqual([
      "2.0.10.in-addr.arpa.",
      "3.0.10.in-addr.arpa.",
    ]);
    expect(reverseZones({ ip: parseIp("fd00::"), prefix: 10 })).toHaveLength(4);
  });
  it("names types and numbers", () => {
    expect([typeName(28), typeName(65280), typeNumber("srv"), typeNumber("TYPE65280"), typeNumber("nope")]).toEqual([
      "AAAA",
      "TYPE65280",
      33,
      65280,
      undefined,
    ]);
  });
  it("formats records as lines of a zone file", () => {
    expect(formatRecord(a("a.b.", "10.0.0.1"))).toBe("a.b. 30 IN A 10.0.0.1");
    const txt: RecordData = { kind: "text", strings: [Buffer.from('1.1.0 "x"')] };
    expect(formatRecord({ name: "v.", type: 16, class: 1, ttl: 5, data: txt })).toBe('v. 5 IN TXT "1.1.0 \\"x\\""');
  });
});

const bytes = (options?: { minLength?: number; maxLength?: number }) => fc.uint8Array(options);
const label = fc.uint8Array({ minLength: 1, maxLength: 12 }).map((raw) => labelText(raw, 0, raw.length));
const name = fc.array(label, { maxLength: 5 }).map((labels) => (labels.length === 0 ? "." : `${labels.join(".")}.`));
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const data: fc.Arbitrary<[number, RecordData]> = fc.oneof(
  bytes({ minLength: 4, maxLength: 4 }).map((address): [number, RecordData] => [1, { kind: "address", address }]),
  bytes({ minLength: 16, maxLength: 16 }).map((address): [number, RecordData] => [28, { kind: "address", address }]),
  fc
    .tuple(fc.constantFrom(2, 5, 12, 39), name)
    .map(([type, target]): [number, RecordData] => [type, { kind: "name", target }]),
  fc
    .record({ mname: name, rname: name, serial: u32, refresh: u32, retry: u32, expire: u32, minimum: u32 })
    .map((soa): [number, RecordData] => [6, { kind: "soa", ...soa }]),
  fc.record({ preference: u16, exchange: name }).map((mx): [number, RecordData] => [15, { kind: "mx", ...mx }]),
  fc
    .record({ priority: u16, weight: u16, port: u16, target: name })
    .map((srv): [number, RecordData] => [33, { kind: "srv", ...srv }]),
  fc
    .array(bytes({ maxLength: 40 }), { minLength: 1, maxLength: 3 })
    .map((strings): [number, RecordData] => [16, { kind: "text", strings }]),
  fc
    .tuple(bytes({ minLength: 2, maxLength: 2 }), name)
    .map((parts): [number, RecordData] => [18, { kind: "parts", parts }]),
  bytes({ maxLength: 40 }).map((raw): [number, RecordData] => [65280, { kind: "opaque", bytes: raw }]),
);
const record: fc.Arbitrary<ResourceRecord> = fc
  .tuple(name, data, u16, u32)
  .map(([owner, [type, value], recordClass, ttl]) => ({ name: owner, type, class: recordClass, ttl, data: value }));
const section = fc.array(record, { maxLength: 4 });
const edns = fc.record({
  udpSize: u16,
  version: fc.integer({ min: 0, max: 255 }),
  dnssecOk: fc.boolean(),
  options: fc.array(fc.record({ code: u16, data: bytes({ maxLength: 20 }) }), { maxLength: 3 }),
});
const flags = fc.record({
  id: u16,
  response: fc.boolean(),
  opcode: fc.integer({ min: 0, max: 15 }),
  authoritative: fc.boolean(),
  truncated: fc.boolean(),
  recursionDesired: fc.boolean(),
  recursionAvailable: fc.boolean(),
  authenticData: fc.boolean(),
  checkingDisabled: fc.boolean(),
});
const message: fc.Arbitrary<Message> = fc
  .tuple(
    flags,
    fc.array(fc.record({ name, type: u16, class: u16 }), { maxLength: 2 }),
    section,
    section,
    section,
    fc.option(edns),
    fc.integer({ min: 0, max: 4095 }),
  )
  .map(([header, questions, answers, authorities, additionals, opt, rcode]) => ({
    ...header,
    rcode: opt ? rcode : rcode & 15,
    questions,
    answers,
    authorities,
    additionals,
    ...(opt && { edns: opt }),
  }));

describe("DNS messages: properties", () => {
  it("what is encoded decodes to the same", () => {
    fc.assert(
      fc.property(message, (value) => {
        expect(decodeMessage(encodeMessage(value))).toEqual(value);
      }),
      { seed: 1035, numRuns: 300 },
    );
  });

  it("a truncated answer is a prefix within its limit", () => {
    fc.assert(
      fc.property(message, fc.integer({ min: 12, max: 600 }), (value, limit) => {
        let short: Uint8Array;
        try {
          short = encodeTruncated(value, limit);
        } catch (error) {
          expect((error as DnsError).code).toBe("too-large");
          return;
        }
        expect(short.length).toBeLessThanOrEqual(limit);
        const decoded = decodeMessage(short);
        expect(decoded.answers).toEqual(value.answers.slice(0, decoded.answers.length));
        if (decoded.answers.length < value.answers.length) expect(decoded.truncated).toBe(true);
      }),
      { seed: 1035, numRuns: 300 },
    );
  });

  it("decoding mutated bytes gives a message or a DnsError", () => {
    fc.assert(
      fc.property(
        message,
        fc.array(fc.tuple(fc.nat(2000), fc.integer({ min: 0, max: 255 })), { maxLength: 8 }),
        fc.nat(600),
        (value, changes, cut) => {
          const encoded = encodeMessage(value);
          for (const [at, byte] of changes) encoded[at % encoded.length] = byte;
          decodesOrRefuses(encoded.subarray(0, Math.max(0, encoded.length - (cut % 40))));
        },
      ),
      { seed: 1035, numRuns: 500 },
    );
  });

  it("decoding random bytes gives a message or a DnsError", () => {
    fc.assert(fc.property(bytes({ maxLength: 200 }), decodesOrRefuses), { seed: 1035, numRuns: 1000 });
  });

  it("name text and bytes stand for each other", () => {
    fc.assert(
      fc.property(name, (text) => {
        expect(parseName(text)).toBe(text);
        expect(`${labelsOf(text).join(".")}.`).toBe(text);
      }),
      { seed: 1035, numRuns: 500 },
    );
  });
});

function decodesOrRefuses(input: Uint8Array): void {
  let decoded: Message;
  try {
    decoded = decodeMessage(input);
  } catch (error) {
    expect(error).toBeInstanceOf(DnsError);
    return;
  }
  // What was read can be written; data too long for a message by losing compression is the one exception.
  try {
    expect(decodeMessage(encodeMessage(decoded))).toEqual(decoded);
  } catch (error) {
    expect((error as DnsError).code).toBe("too-large");
  }
}
