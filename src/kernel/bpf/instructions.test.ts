import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  alu,
  assemble,
  call,
  exit,
  goto,
  label,
  load,
  map,
  mov,
  type Register,
  reg,
  SLOT,
  type Statement,
  store,
  when,
} from "./instructions.ts";

const hex = (...program: Statement[]) => assemble(program, { things: 0x1234 }).toString("hex");

describe("machine code of eBPF", () => {
  // Opcodes by the tables of the kernel's instruction-set.rst: class | source | operation, and class | mode | size.
  it.each<[string, Statement, string]>([
    ["r6 = r1", mov(6, reg(1)), "bf16000000000000"],
    ["r0 = 1", mov(0, 1), "b700000001000000"],
    ["r2 += -24", alu("add", 2, -24), "07020000e8ffffff"],
    ["r0 %= r8", alu("mod", 0, reg(8)), "9f80000000000000"],
    ["r1 -= r2", alu("sub", 1, reg(2)), "1f21000000000000"],
    ["r1 *= 3", alu("mul", 1, 3), "2701000003000000"],
    ["r2 = *(u32*)(r6 + 4)", load(4, 2, 6, 4), "6162040000000000"],
    ["r2 = *(u16*)(r0 + 16)", load(2, 2, 0, 16), "6902100000000000"],
    ["r2 = *(u8*)(r0 + 1)", load(1, 2, 0, 1), "7102010000000000"],
    ["r2 = *(u64*)(r0 + 8)", load(8, 2, 0, 8), "7902080000000000"],
    ["*(u32*)(r10 - 8) = r2", store(4, 10, -8, reg(2)), "632af8ff00000000"],
    ["*(u64*)(r10 - 8) = 0", store(8, 10, -8, 0), "7a0af8ff00000000"],
    ["*(u16*)(r10 - 6) = 7", store(2, 10, -6, 7), "6a0afaff07000000"],
    ["r1 = map 0x1234", map(1, "things"), "18110000341200000000000000000000"],
    ["call 1", call(1), "8500000001000000"],
    ["exit", exit(), "9500000000000000"],
  ])("%s", (_, statement, expected) => {
    expect(hex(statement)).toBe(expected);
  });

  it("jumps count instructions from the one behind them; a map's address counts as two", () => {
    expect(hex(when("eq", 0, 0, "end"), map(1, "things"), call(1), label("end"), exit()).slice(0, 16)).toBe(
      "1500030000000000",
    );
    expect(hex(label("top"), mov(0, 0), goto("top")).slice(16)).toBe("0500feff00000000");
    expect(hex(when("ne", 3, reg(4), "end"), label("end"), exit()).slice(0, 16)).toBe("5d43000000000000");
  });

  it("says what is wrong", () => {
    expect(() => hex(goto("nowhere"))).toThrow("there is no label nowhere");
    expect(() => hex(label("a"), label("a"))).toThrow("label a is there twice");
    expect(() => hex(map(1, "none"))).toThrow("there is no map none");
    expect(() => hex(load(4, 1, 10, 40_000))).toThrow(RangeError);
    expect(() => hex(mov(1, 2 ** 31))).toThrow(RangeError);
  });

  it("every jump of any program leads to its label", () => {
    const register = fc.integer({ min: 0, max: 9 }) as fc.Arbitrary<Register>;
    const plain = fc.oneof(
      register.map((dst) => mov(dst, 1)),
      register.map((dst) => map(dst, "things")),
      fc.constant(call(7)),
    );
    const pieces = fc.array(fc.record({ filler: fc.array(plain, { maxLength: 4 }), target: fc.nat(20) }), {
      minLength: 1,
      maxLength: 20,
    });
    fc.assert(
      fc.property(pieces, (list) => {
        // Each piece begins with a label and ends with a jump to some piece.
        const program = list.flatMap(({ filler, target }, index) => [
          label(`piece-${index}`),
          ...filler,
          when("gt", 1, 5, `piece-${target % list.length}`),
        ]);
        const sizes = list.map(({ filler }) => filler.reduce((n, one) => n + (one.kind === "map" ? 2 : 1), 1));
        const starts = sizes.map((_, index) => sizes.slice(0, index).reduce((a, b) => a + b, 0));
        const code = assemble(program, { things: 3 });
        expect(code.length).toBe(sizes.reduce((a, b) => a + b, 0) * SLOT);
        for (const [index, { target }] of list.entries()) {
          const at = (starts[index] as number) + (sizes[index] as number) - 1;
          expect(code[at * SLOT]).toBe(0x25);
          expect(at + 1 + code.readInt16LE(at * SLOT + 2)).toBe(starts[target % list.length]);
        }
      }),
      { seed: 11 },
    );
  });
});
