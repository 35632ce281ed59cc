import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RecordType, type ResourceRecord } from "#wire/dns/index.ts";
import { shuffleRecords } from "./setup.ts";

const a = (last: number): ResourceRecord => ({
  name: "a.",
  type: RecordType.A,
  class: 1,
  ttl: 1,
  data: { kind: "address", address: Uint8Array.of(10, 0, 0, last) },
});
const cname: ResourceRecord = {
  name: "b.",
  type: RecordType.CNAME,
  class: 1,
  ttl: 1,
  data: { kind: "name", target: "a." },
};

describe("loadbalance", () => {
  it("loses and adds no record, aliases stay in front", () => {
    const records = [a(1), a(2), cname, a(3)];
    fc.assert(
      fc.property(fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })), (random) => {
        const shuffled = shuffleRecords(records, () => random.next().value);
        expect(shuffled[0]).toBe(cname);
        expect(new Set(shuffled)).toEqual(new Set(records));
      }),
      { seed: 1, numRuns: 50 },
    );
  });
  it("puts each address first as often as any other", () => {
    const first = new Map<number, number>();
    let state = 1;
    const random = () => {
      state = (state * 48_271) % 2_147_483_647;
      return state / 2_147_483_647;
    };
    for (let i = 0; i < 3000; i++) {
      const [record] = shuffleRecords([a(1), a(2), a(3)], random);
      const last = record?.data.kind === "address" ? (record.data.address[3] as number) : 0;
      first.set(last, (first.get(last) ?? 0) + 1);
    }
    for (const count of first.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});
