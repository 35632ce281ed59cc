/**
 * The kernel's instruction set (Documentation/bpf/standardization/instruction-set.rst), as far as our programs need it.
 * An instruction has 8 bytes: opcode, registers (destination in the low four bits), i16 offset, i32 immediate; all in
 * the machine's byte order, which is little-endian on every architecture we run on.
 */

/** R0 is what a call returns and the program's result; R1–R5 are arguments, lost by calls; R6–R9 stay; R10 is the frame. */
export type Register = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10;

/** Bytes of one access to memory. */
export type Width = 1 | 2 | 4 | 8;

/** A register, or a number of 32 bits. */
export type Operand = { readonly register: Register } | number;

/** 64-bit arithmetic. */
const ALU = { add: 0x00, sub: 0x10, mul: 0x20, div: 0x30, or: 0x40, and: 0x50, mod: 0x90, mov: 0xb0 } as const;
export type Arithmetic = keyof typeof ALU;

/** Comparisons, unsigned, of 64 bits. */
const JUMP = { eq: 0x10, gt: 0x20, ge: 0x30, ne: 0x50, lt: 0xa0, le: 0xb0 } as const;
export type Condition = keyof typeof JUMP;

const WIDTH: Readonly<Record<Width, number>> = { 4: 0x00, 2: 0x08, 1: 0x10, 8: 0x18 };
/** Classes of instructions, and their modes. */
const CLASS = { ld: 0x00, ldx: 0x01, st: 0x02, stx: 0x03, jmp: 0x05, alu64: 0x07 } as const;
const MEM = 0x60;
const REGISTER_OPERAND = 0x08;
/** 64-bit immediate in two slots; with this source register the immediate is a map's descriptor. */
const LD_IMM64 = 0x18;
const PSEUDO_MAP_FD = 1;
const CALL = 0x85;
const EXIT = 0x95;
const GOTO = 0x05;

/** One line of a program. */
export type Statement =
  | { readonly kind: "label"; readonly name: string }
  | { readonly kind: "alu"; readonly what: Arithmetic; readonly dst: Register; readonly by: Operand }
  | {
      readonly kind: "load";
      readonly width: Width;
      readonly dst: Register;
      readonly src: Register;
      readonly at: number;
    }
  | {
      readonly kind: "store";
      readonly width: Width;
      readonly dst: Register;
      readonly at: number;
      readonly value: Operand;
    }
  | { readonly kind: "map"; readonly dst: Register; readonly name: string }
  | { readonly kind: "call"; readonly helper: number }
  | { readonly kind: "goto"; readonly to: string }
  | {
      readonly kind: "if";
      readonly what: Condition;
      readonly dst: Register;
      readonly than: Operand;
      readonly to: string;
    }
  | { readonly kind: "exit" };

/** The same register as an operand. */
export const reg = (register: Register): Operand => ({ register });
/** `name:` — where jumps go to. */
export const label = (name: string): Statement => ({ kind: "label", name });
/** `dst what= by`; `mov` sets. */
export const alu = (what: Arithmetic, dst: Register, by: Operand): Statement => ({ kind: "alu", what, dst, by });
/** `dst = by`. */
export const mov = (dst: Register, by: Operand): Statement => alu("mov", dst, by);
/** `dst = *(width)(src + at)`, the rest of the register zero. */
export const load = (width: Width, dst: Register, src: Register, at: number): Statement => ({
  ...{ kind: "load", width, dst, src, at },
});
/** `*(width)(dst + at) = value`. */
export const store = (width: Width, dst: Register, at: number, value: Operand): Statement => ({
  ...{ kind: "store", width, dst, at, value },
});
/** `dst = the map of this name`, for calls of helpers. */
export const map = (dst: Register, name: string): Statement => ({ kind: "map", dst, name });
/** `r0 = helper(r1 … r5)`. */
export const call = (helper: number): Statement => ({ kind: "call", helper });
/** Goes on at a label. */
export const goto = (to: string): Statement => ({ kind: "goto", to });
/** Goes on at a label if `dst what than`. */
export const when = (what: Condition, dst: Register, than: Operand, to: string): Statement => ({
  ...{ kind: "if", what, dst, than, to },
});
/** Ends the program with R0. */
export const exit = (): Statement => ({ kind: "exit" });

/** Size of an instruction, in bytes. */
export const SLOT = 8;

/**
 * Machine code of a program.
 * @param maps descriptors by name
 * @throws RangeError for a label or map that is not there, a label that is there twice, and numbers that do not fit
 */
export function assemble(program: readonly Statement[], maps: Readonly<Record<string, number>>): Buffer {
  const labels = placesOf(program);
  const slots: Buffer[] = [];
  for (const statement of program) {
    slots.push(...encode(statement, maps, (name) => distance(labels, name, slots.length)));
  }
  return Buffer.concat(slots);
}

/** Slot number of each label. */
function placesOf(program: readonly Statement[]): ReadonlyMap<string, number> {
  const places = new Map<string, number>();
  let slot = 0;
  for (const statement of program) {
    if (statement.kind === "map") slot += 2;
    else if (statement.kind !== "label") slot += 1;
    else if (places.has(statement.name)) throw new RangeError(`label ${statement.name} is there twice`);
    else places.set(statement.name, slot);
  }
  return places;
}

/** Jumps count from the instruction behind them. */
function distance(labels: ReadonlyMap<string, number>, name: string, from: number): number {
  const place = labels.get(name);
  if (place === undefined) throw new RangeError(`there is no label ${name}`);
  return place - from - 1;
}

function encode(
  statement: Statement,
  maps: Readonly<Record<string, number>>,
  jump: (label: string) => number,
): readonly Buffer[] {
  switch (statement.kind) {
    case "label":
      return [];
    case "alu":
      return [operation(CLASS.alu64 | ALU[statement.what], statement.dst, 0, statement.by)];
    case "load":
      return [slot(CLASS.ldx | MEM | WIDTH[statement.width], statement.dst, statement.src, statement.at, 0)];
    case "store":
      return [stored(statement)];
    case "map": {
      const fd = maps[statement.name];
      if (fd === undefined) throw new RangeError(`there is no map ${statement.name}`);
      return [slot(LD_IMM64, statement.dst, PSEUDO_MAP_FD, 0, fd), slot(0, 0, 0, 0, 0)];
    }
    case "call":
      return [slot(CALL, 0, 0, 0, statement.helper)];
    case "goto":
      return [slot(GOTO, 0, 0, jump(statement.to), 0)];
    case "if":
      return [operation(CLASS.jmp | JUMP[statement.what], statement.dst, jump(statement.to), statement.than)];
    case "exit":
      return [slot(EXIT, 0, 0, 0, 0)];
  }
}

function stored({ width, dst, at, value }: Extract<Statement, { kind: "store" }>): Buffer {
  return typeof value === "number"
    ? slot(CLASS.st | MEM | WIDTH[width], dst, 0, at, value)
    : slot(CLASS.stx | MEM | WIDTH[width], dst, value.register, at, 0);
}

function operation(opcode: number, dst: Register, offset: number, by: Operand): Buffer {
  return typeof by === "number"
    ? slot(opcode, dst, 0, offset, by)
    : slot(opcode | REGISTER_OPERAND, dst, by.register, offset, 0);
}

/** @throws RangeError when offset or immediate do not fit */
function slot(opcode: number, dst: number, src: number, offset: number, immediate: number): Buffer {
  const bytes = Buffer.alloc(SLOT);
  bytes.writeUInt8(opcode, 0);
  bytes.writeUInt8(dst | (src << 4), 1);
  bytes.writeInt16LE(offset, 2);
  bytes.writeInt32LE(immediate, 4);
  return bytes;
}
