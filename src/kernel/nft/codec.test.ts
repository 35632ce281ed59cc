import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MessageWriter } from "#kernel/netlink/index.ts";
import { concat, dataTypes, hostU32 } from "./dataTypes.ts";
import { readStatements } from "./decodeRule.ts";
import { type EncodedMessage, encodeTransaction } from "./encode.ts";
import { writeStatements } from "./encodeRule.ts";
import { addressFields, ct, type Field, fibType, metaFields, numgen, th } from "./fields.ts";
import { comparisons, keyText, type NftSet, type Statement, setOperations, type Verdict } from "./model.ts";
import { type ElementList, PackedElements } from "./packed.ts";
import type { SetShapes } from "./registers.ts";
import { cutIntoSends } from "./sends.ts";
import { statementText } from "./text.ts";
import { Transaction } from "./transaction.ts";
import { commentUserdata, userdataComment } from "./userdata.ts";

const family = "ip";
const { saddr, daddr } = addressFields(family);
const fields: readonly Field[] = [
  saddr,
  daddr,
  th.sport,
  th.dport,
  metaFields.mark,
  metaFields.l4proto,
  metaFields.iifname,
  ct.state,
  fibType("daddr"),
  numgen(7, 2),
];
const field = fc.constantFrom(...fields);
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/);
const verdict: fc.Arbitrary<Verdict> = fc.oneof(
  fc.record({ kind: fc.constantFrom("accept", "drop", "continue", "return") }),
  fc.record({ kind: fc.constantFrom("jump", "goto"), chain: name }),
);
const key = [daddr, metaFields.l4proto, th.dport];
const types = [dataTypes.ipv4_addr, dataTypes.inet_proto, dataTypes.inet_service];
const shapes: SetShapes = new Map([
  ["keyed", { key: types, data: [] }],
  ["addresses", { key: types, data: [dataTypes.ipv4_addr, dataTypes.inet_service] }],
  ["marks", { key: types, data: [dataTypes.mark] }],
]);

const statement: fc.Arbitrary<Statement> = fc.oneof(
  field.chain((f) =>
    fc.record({
      kind: fc.constant("match" as const),
      field: fc.constant(f),
      operator: fc.constantFrom(...comparisons),
      value: bytes(f.type.length),
    }),
  ),
  fc.record({
    kind: fc.constant("match" as const),
    field: fc.constant(saddr),
    operator: fc.constantFrom("==" as const, "!=" as const),
    value: bytes(4),
    mask: bytes(4),
  }),
  fc.record({
    kind: fc.constant("lookup" as const),
    key: fc.constant(key),
    set: fc.constant("keyed"),
    negate: fc.constant(true),
  }),
  fc.constant({ kind: "vmap" as const, key, map: "keyed" }),
  fc.constant({
    kind: "assign" as const,
    field: metaFields.mark,
    value: { kind: "map" as const, key, map: "marks", types: [dataTypes.mark] },
  }),
  fc.record({ mask: u32, flip: u32 }).map(({ mask, flip }) => ({
    kind: "assign" as const,
    field: metaFields.mark,
    value: { kind: "bits" as const, field: metaFields.mark, mask, flip },
  })),
  u32.map((n) => ({
    kind: "assign" as const,
    field: ct.mark,
    value: { kind: "constant" as const, bytes: hostU32(n), types: [dataTypes.mark] },
  })),
  fc.record({
    kind: fc.constant("setOperation" as const),
    operation: fc.constantFrom(...setOperations),
    set: fc.constant("keyed"),
    key: fc.constant(key),
    data: fc.constant(metaFields.mark),
    timeoutMs: fc.integer({ min: 1, max: 1e9 }),
  }),
  fc.constant({
    kind: "nat" as const,
    type: "dnat" as const,
    family: "ip" as const,
    to: { kind: "map" as const, key, map: "addresses", types: [dataTypes.ipv4_addr, dataTypes.inet_service] },
  }),
  fc.record({ address: bytes(4), port: fc.integer({ min: 1, max: 65535 }) }).map((to) => ({
    kind: "nat" as const,
    type: "snat" as const,
    family: "ip" as const,
    to: { kind: "address" as const, ...to },
  })),
  fc.constantFrom<Statement>(
    { kind: "masquerade" },
    { kind: "masquerade", fullyRandom: true },
    { kind: "reject" },
    { kind: "reject", with: { kind: "tcp reset" } },
    { kind: "counter" },
    { kind: "trace" },
  ),
  fc.integer({ min: 1, max: 65535 }).map((port) => ({ kind: "redirect" as const, port })),
  fc.integer({ min: 1, max: 65535 }).map((port) => ({ kind: "tproxy" as const, family: "ip" as const, port })),
  fc.record({ kind: fc.constant("log" as const), prefix: name, group: fc.integer({ min: 0, max: 65535 }) }),
  verdict.map((v) => ({ kind: "verdict" as const, verdict: v })),
);

describe("nft codec", () => {
  it("reads every rule back that it writes", () => {
    fc.assert(
      fc.property(fc.array(statement, { maxLength: 8 }), (statements) => {
        const writer = new MessageWriter().begin(0);
        writeStatements(writer, family, statements);
        const read = readStatements(writer.end().bytes().subarray(16), family, shapes);
        const text = (list: readonly Statement[]) => list.map((one) => statementText(one, family));
        expect(text(read)).toEqual(text(statements));
      }),
      { seed: 5, numRuns: 500 },
    );
  });

  it("cuts sends below the limit, in order, and only where it may", () => {
    const sizes = fc.array(fc.record({ size: fc.integer({ min: 20, max: 300 }), mayCut: fc.boolean() }), {
      minLength: 1,
    });
    fc.assert(
      fc.property(sizes, (list) => {
        let at = 0;
        const messages = list.map(({ size, mayCut }, operation): EncodedMessage => {
          const start = at;
          at += size;
          return { start, end: at, operation, mayCut: mayCut || operation === 0 };
        });
        let sends: (readonly [number, number])[];
        try {
          sends = cutIntoSends(messages, 1000);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
          return;
        }
        expect(sends.flatMap(([from, to]) => messages.slice(from, to))).toEqual(messages);
        for (const [from, to] of sends) {
          expect(messages[from]?.mayCut).toBe(true);
          expect((messages[to - 1]?.end ?? 0) - (messages[from]?.start ?? 0)).toBeLessThanOrEqual(960);
        }
      }),
      { seed: 6, numRuns: 300 },
    );
  });

  it("splits elements into messages that a nested attribute can hold, replacement beside removal", () => {
    const set: NftSet = { table: { family, name: "t" }, name: "s", key: [dataTypes.mark], data: [dataTypes.mark] };
    const elements = Array.from({ length: 5000 }, (_, n) => ({ key: hostU32(n), data: hostU32(n) }));
    const { messages } = encodeTransaction(new Transaction().replaceElements(set, elements));
    expect(messages.every(({ start, end }) => end - start < 65_535)).toBe(true);
    expect(messages.map(({ mayCut }) => mayCut)).toEqual(messages.map((_, index) => index % 2 === 0));
    expect(messages.at(-1)?.elements?.[1]).toBe(5000);
  });

  it("packed elements are the same messages as elements one by one", () => {
    const mark = [dataTypes.mark];
    const set: NftSet = { table: { family, name: "t" }, name: "s", key: [...types, ...mark], data: mark };
    const keys = Array.from({ length: 2000 }, (_, n) =>
      concat(Uint8Array.of(10, 0, n >> 8, n), Uint8Array.of(6), hostU32(80)),
    );
    const packed = new PackedElements(16, 4);
    for (const [n, key] of keys.entries()) packed.add(keyText(key), n, keyText(hostU32(n * 3)));
    const elements = keys.map((key, n) => ({ key: concat(key, hostU32(n)), data: hostU32(n * 3) }));
    expect(packed).toHaveLength(2000);
    expect(packed.at(2000)).toBeUndefined();
    const bytes = (list: ElementList) =>
      encodeTransaction(new Transaction().addElements(set, list).replaceElements(set, list).deleteElements(set, list))
        .messages.length;
    expect(bytes(packed)).toBeGreaterThan(6);
    const first = <T>(list: readonly T[]) => list.slice(0, 900);
    const few = new PackedElements(16, 4);
    for (const [n, key] of first(keys).entries()) few.add(keyText(key), n, keyText(hostU32(n * 3)));
    const sent = (list: ElementList) =>
      encodeTransaction(new Transaction().replaceElements(set, list)).writer.bytes().toString("hex");
    expect(sent(few)).toBe(sent(first(elements)));
    expect(new Transaction().addElements(set, few).toString()).toBe(
      new Transaction().addElements(set, first(elements)).toString(),
    );
  });

  it("keeps comments, cut to what nft accepts", () => {
    expect(userdataComment(commentUserdata("kube-system/kube-dns:dns"))).toBe("kube-system/kube-dns:dns");
    expect(userdataComment(commentUserdata("x".repeat(300)))).toHaveLength(127);
    expect(userdataComment(concat())).toBeUndefined();
  });
});
