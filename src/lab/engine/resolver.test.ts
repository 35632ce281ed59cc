import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { servfail } from "./resolver.ts";

/** Query for example.com A with an EDNS record behind it. */
const QUERY = Buffer.from("123401200001000000000001076578616d706c6503636f6d00000100010000291000000000000000", "hex");

describe("the resolver of a lab without a way outside", () => {
  it("answers SERVFAIL with the same id and question", () => {
    const answer = servfail(QUERY) as Buffer;
    expect(answer.readUInt16BE(0)).toBe(0x1234);
    expect(answer.readUInt16BE(2) & 0x800f).toBe(0x8002);
    expect([answer.readUInt16BE(4), answer.readUInt16BE(6), answer.readUInt16BE(8), answer.readUInt16BE(10)]).toEqual([
      1, 0, 0, 0,
    ]);
    expect(answer.subarray(12).equals(QUERY.subarray(12, QUERY.length - 11))).toBe(true);
  });

  it("never answers an answer, and survives any bytes", () => {
    expect(servfail(servfail(QUERY) as Buffer)).toBeUndefined();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        const answer = servfail(Buffer.from(bytes));
        expect(answer === undefined || answer.length <= bytes.length).toBe(true);
      }),
      { seed: 1, numRuns: 500 },
    );
  });
});
