import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NLM_F } from "./constants.ts";
import { encodeOperation } from "./encode.ts";
import { formatMac, parseMac, randomMac } from "./mac.ts";
import { attributeText, parseAttributes, parseMessages } from "./messageReader.ts";
import { MessageWriter } from "./messageWriter.ts";

describe("netlink messages", () => {
  it("writes header, attributes and nests as the kernel reads them", () => {
    const writer = new MessageWriter();
    writer.begin(16, NLM_F.CREATE).u8(1).u8(2).u16(3);
    writer
      .attributeText(3, "br0")
      .nest(18, () => writer.attributeU8(1, 7).attributeU16be(2, 0x1234))
      .end();
    const parts = [
      ["30000000", "1000", "0504", "01000000", "00000000"], // nlmsghdr: length, type, flags, sequence, port
      ["01", "02", "0300"],
      ["0800", "0300", "62723000"], // "br0" and its NUL
      ["1400", "1280", "0500", "0100", "07000000", "0600", "0200", "12340000"],
    ];
    expect(writer.acknowledgeLast().bytes().toString("hex")).toBe(parts.flat().join(""));
  });

  it("reads what it wrote, across any growth of its buffer (property)", () => {
    const attribute = fc.record({
      type: fc.integer({ min: 1, max: 0x3fff }),
      payload: fc.uint8Array({ maxLength: 300 }),
    });
    const message = fc.record({
      type: fc.integer({ min: 16, max: 0xffff }),
      attributes: fc.uniqueArray(attribute, { selector: (a) => a.type, maxLength: 8 }),
    });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 8 }), (messages) => {
        const writer = new MessageWriter(16);
        for (const { type, attributes } of messages) {
          writer.begin(type);
          for (const { type: kind, payload } of attributes) writer.attribute(kind, payload);
          writer.end();
        }
        const read = parseMessages(writer.bytes());
        expect(read.map(({ type, sequence }) => [type, sequence])).toEqual(
          messages.map(({ type }, i) => [type, i + 1]),
        );
        read.forEach(({ payload }, i) => {
          const wanted = new Map(messages[i]?.attributes.map((a) => [a.type, Buffer.from(a.payload)]));
          expect(parseAttributes(payload)).toEqual(wanted);
        });
      }),
      { seed: 11, numRuns: 200 },
    );
  });

  it("never reads beyond a broken message (property)", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        for (const parse of [parseMessages, parseAttributes]) {
          try {
            parse(Buffer.from(bytes));
          } catch (error) {
            expect(error).toBeInstanceOf(RangeError);
          }
        }
      }),
      { seed: 12, numRuns: 500 },
    );
  });

  it("refuses attributes and nests that their length field cannot hold", () => {
    const writer = new MessageWriter();
    writer.begin(16);
    expect(() => writer.attribute(1, new Uint8Array(65_532))).toThrow("65531 at most");
    const nested = () => writer.attribute(1, new Uint8Array(40_000)).attribute(2, new Uint8Array(40_000));
    expect(() => writer.nest(1, nested)).toThrow("65535 at most");
    expect(() => writer.begin(17)).toThrow("not ended");
  });

  it("refuses operations that cannot be encoded, before anything is sent", () => {
    const encode = (operation: Parameters<typeof encodeOperation>[1]) =>
      encodeOperation(new MessageWriter(), operation);
    expect(() => encode({ op: "add-link", name: "a-name-of-16-byte", kind: { type: "bridge" } })).toThrow(
      "longer than 15 bytes",
    );
    expect(() => encode({ op: "add-address", index: 1, address: "10.0.0.1" })).toThrow("no prefix length");
    expect(() => encode({ op: "add-fdb", index: 1, mac: "zz", dst: "10.0.0.1" })).toThrow("is no MAC address");
  });

  it("reads text without its NUL, and MAC addresses", () => {
    expect(attributeText(Buffer.from("eth0\0"))).toBe("eth0");
    expect(attributeText(Buffer.from("eth0"))).toBe("eth0");
    expect(formatMac(parseMac("AA:bb:00:01:02:03"))).toBe("aa:bb:00:01:02:03");
    for (let i = 0; i < 50; i++) expect(parseMac(randomMac())[0]).toSatisfy((first: number) => (first & 3) === 2);
  });
});
