import { syscallNumbers } from "#kernel/ffi/index.ts";

/** Where the runner (runner.ts) keeps the script that it carries out, and how much room it has there. */
export const MEMORY = 0x1000_0000;
export const MEMORY_SIZE = 4 << 20;

const STEP_SIZE = 64;
const ARGUMENTS = 6;
/** Offset of the flag in a step: its failure is passed over. */
const FLAG = 56;

/** Names of system calls in a script. */
export type Call = keyof ReturnType<typeof syscallNumbers>;

/** A text becomes the address of a NUL-terminated copy, bytes that of a copy, a list that of its elements' addresses. */
export type Argument = number | bigint | string | Buffer | readonly string[];

/** A system call to make. */
export interface Step {
  readonly call: Call;
  readonly args: readonly Argument[];
  /** Its failure is no error. */
  readonly optional?: boolean;
  /** What it is about, for an error's text. */
  readonly detail?: string;
}

/** Which step of a script has failed, and how. */
export interface StepFailure {
  readonly step: Step;
  /** Positive. */
  readonly errno: number;
}

/** Memory behind the steps, filled from its beginning. */
class Heap {
  readonly #start: number;
  readonly #parts: Buffer[] = [];
  #size = 0;

  constructor(start: number) {
    this.#start = start;
  }

  /** Every part begins at a multiple of eight, as lists of addresses have to. */
  add(bytes: Buffer): bigint {
    const address = BigInt(MEMORY + this.#start + this.#size);
    const padded = Buffer.alloc(Math.ceil(bytes.length / 8) * 8);
    bytes.copy(padded);
    this.#parts.push(padded);
    this.#size += padded.length;
    return address;
  }

  value(argument: Argument): bigint {
    if (typeof argument === "bigint") return BigInt.asUintN(64, argument);
    if (typeof argument === "number") return BigInt.asUintN(64, BigInt(argument));
    if (typeof argument === "string") return this.add(Buffer.from(`${argument}\0`));
    if (Buffer.isBuffer(argument)) return this.add(argument);
    const list = Buffer.alloc((argument.length + 1) * 8);
    for (const [i, text] of argument.entries()) list.writeBigUInt64LE(this.value(text), i * 8);
    return this.add(list);
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/**
 * A batch of a script as the runner reads it: its length, then the steps and what they point to.
 * @throws RangeError for one that does not fit into the runner's memory
 */
export function encodeScript(steps: readonly Step[]): Buffer {
  const table = Buffer.alloc((steps.length + 1) * STEP_SIZE);
  const heap = new Heap(table.length);
  const numbers = syscallNumbers();
  for (const [i, { call, args, optional }] of steps.entries()) {
    const at = i * STEP_SIZE;
    table.writeBigInt64LE(BigInt(numbers[call]), at);
    for (const [j, argument] of args.slice(0, ARGUMENTS).entries())
      table.writeBigUInt64LE(heap.value(argument), at + 8 + j * 8);
    table.writeBigUInt64LE(optional ? 1n : 0n, at + FLAG);
  }
  table.writeBigInt64LE(-1n, steps.length * STEP_SIZE);
  const body = Buffer.concat([table, heap.bytes]);
  if (body.length > MEMORY_SIZE) throw new RangeError("the program's arguments and environment are too long");
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(body.length));
  return Buffer.concat([head, body]);
}

/** Length of the runner's report of a failure. */
export const REPORT_SIZE = 16;

/** Takes the runner's report apart: the address of the step, and what the kernel gave back. */
export function decodeReport(report: Buffer, steps: readonly Step[]): StepFailure {
  const index = (Number(report.readBigUInt64LE(0)) - MEMORY) / STEP_SIZE;
  const step = steps[index];
  if (!step) throw new Error(`the runner reports a step ${index} that was not sent`);
  return { step, errno: Number(-report.readBigInt64LE(8)) };
}
