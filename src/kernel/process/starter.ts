import { check, libc } from "#kernel/ffi/index.ts";
import { capabilityNumbers } from "./capabilities.ts";

/**
 * A program of a hundred bytes that makes a list of system calls, the last of which executes another program. A
 * container made from an image may hold nothing but its own program: no shell that could wait, no setpriv(1) that
 * could drop rights. This one needs no file of the container: it comes by a descriptor.
 *
 * Its machine code walks over a table of entries of eight words: number of the call, six arguments, and the code to
 * exit with when the call fails (0: go on).
 */
interface Machine {
  /** Code up to the table, which follows it. */
  readonly code: string;
  /** e_machine of ELF. */
  readonly elf: number;
  /** Numbers of system calls (asm/unistd.h). */
  readonly calls: Readonly<Record<Call, number>>;
}

type Call =
  | "read"
  | "write"
  | "close"
  | "execve"
  | "mount"
  | "prctl"
  | "setgroups"
  | "setresgid"
  | "setresuid"
  | "capset"
  | "exitGroup"
  | "faccessat";

const MACHINES: Readonly<Record<string, Machine>> = {
  x64: {
    // lea rbx,[table]; loop: mov rax,[rbx] … mov r9,[rbx+48]; syscall; test rax,rax; jns next;
    // mov rdi,[rbx+56]; test rdi,rdi; je next; mov eax,231; syscall; next: add rbx,64; jmp loop; nop
    code: "488d1d39000000488b03488b7b08488b7310488b53184c8b53204c8b43284c8b4b300f054885c07910488b7b384885ff7407b8e70000000f054883c340ebc890",
    elf: 62,
    calls: {
      read: 0,
      write: 1,
      close: 3,
      execve: 59,
      mount: 165,
      prctl: 157,
      setgroups: 116,
      setresgid: 119,
      setresuid: 117,
      capset: 126,
      exitGroup: 231,
      faccessat: 269,
    },
  },
  arm64: {
    // adr x19,table; loop: ldp x8,x0,[x19] … ldp x5,x6,[x19,#48]; svc #0; tbz x0,#63,next; cbz x6,next;
    // mov x0,x6; mov x8,#94; svc #0; next: add x19,x19,#64; b loop; nop
    code: "d3010010680240a9610a41a9631242a9651a43a9010000d4a000f8b6860000b4e00306aac80b80d2010000d473020191f5ffff171f2003d5",
    elf: 183,
    calls: {
      read: 63,
      write: 64,
      close: 57,
      execve: 221,
      mount: 40,
      prctl: 167,
      setgroups: 159,
      setresgid: 149,
      setresuid: 147,
      capset: 91,
      exitGroup: 94,
      faccessat: 48,
    },
  },
};

/** Where the file lies in memory, and where the byte goes that is read. */
const BASE = 0x400000;
const SCRATCH = 0x10000000;
/** Largest page size of the machines that we know. */
const ALIGN = 0x10000;
const HEADERS = 64 + 3 * 56;
const ENTRY_WORDS = 8;

const AT_FDCWD = -100;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
const CAPABILITY_VERSION_3 = 0x20080522;
const LAST_CAPABILITY = 63;
const PROC_FLAGS = 2 | 4 | 8;

/** Exit codes of a start that fails: before and at the program. */
const NOT_SET_UP = 125;
const NOT_EXECUTED = 126;

/** What the starter does before it becomes the program. */
export interface StarterPlan {
  /** Path of the program inside. */
  readonly program: string;
  readonly argv: readonly string[];
  readonly env: readonly string[];
  /** Descriptor of a gate: waits there for a byte `/`, and ends when the gate is closed without one. */
  readonly gate?: number;
  /** Descriptor to say on that /proc is mounted, which it then mounts itself. */
  readonly procReady?: number;
  /** Descriptors to close. */
  readonly close: readonly number[];
  readonly user?: { readonly uid: number; readonly gid: number; readonly groups: readonly number[] };
  /** Kept ones, with no_new_privs set; absent: everything. */
  readonly capabilities?: readonly string[];
}

type Argument = number | Buffer | readonly (Buffer | number)[];

/** Collects data behind the table, and gives addresses of it. */
class Data {
  readonly #start: number;
  readonly #parts: Buffer[] = [];
  #length = 0;

  constructor(start: number) {
    this.#start = start;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  address(value: Exclude<Argument, number>): number {
    if (Buffer.isBuffer(value)) return this.#add(value);
    const words = (value as readonly (Buffer | number)[]).map((item) =>
      Buffer.isBuffer(item) ? this.#add(item) : item,
    );
    const list = Buffer.alloc(words.length * 8);
    for (const [i, word] of words.entries()) list.writeBigInt64LE(BigInt(word), i * 8);
    return this.#add(list);
  }

  #add(bytes: Buffer): number {
    const address = this.#start + this.#length;
    const padded = Buffer.alloc(Math.ceil(Math.max(bytes.length, 1) / 8) * 8);
    bytes.copy(padded);
    this.#parts.push(padded);
    this.#length += padded.length;
    return address;
  }
}

const text = (value: string): Buffer => Buffer.from(`${value}\0`);
const integers = (...values: readonly number[]): Buffer => Buffer.from(Uint32Array.from(values).buffer);

interface Step {
  readonly call: Call;
  readonly arguments: readonly Argument[];
  readonly exit: number;
}

function stepsOf(plan: StarterPlan): Step[] {
  const step = (call: Call, exit: number, ...args: readonly Argument[]): Step => ({ call, arguments: args, exit });
  const { gate, procReady, user, capabilities } = plan;
  const steps: Step[] = [];
  if (procReady !== undefined) {
    steps.push(step("mount", NOT_SET_UP, text("proc"), text("/proc"), text("proc"), PROC_FLAGS, 0));
    steps.push(step("write", NOT_SET_UP, procReady, text("\n"), 1));
  }
  if (gate !== undefined) {
    steps.push(step("read", NOT_SET_UP, gate, SCRATCH, 1));
    // Nothing but the byte makes this a path that exists.
    steps.push(step("faccessat", NOT_SET_UP, AT_FDCWD, SCRATCH, 0));
  }
  steps.push(...plan.close.map((fd) => step("close", 0, fd)));
  if (capabilities) steps.push(...confined(capabilities, step));
  if (user) {
    steps.push(step("setgroups", NOT_SET_UP, user.groups.length, integers(...user.groups)));
    steps.push(step("setresgid", NOT_SET_UP, user.gid, user.gid, user.gid));
    steps.push(step("setresuid", NOT_SET_UP, user.uid, user.uid, user.uid));
  }
  const vector = (words: readonly string[]): Argument => [...words.map(text), 0];
  steps.push(step("execve", NOT_EXECUTED, text(plan.program), vector(plan.argv), vector(plan.env)));
  return steps;
}

/** What is not kept is dropped from the bounding set; nothing is inherited, and no program can give more. */
function confined(
  capabilities: readonly string[],
  step: (call: Call, exit: number, ...args: readonly Argument[]) => Step,
): Step[] {
  const kept = new Set(capabilityNumbers(capabilities));
  const dropped = Array.from({ length: LAST_CAPABILITY + 1 }, (_, i) => i).filter((number) => !kept.has(number));
  const mask = [...kept].reduce((sum, number) => sum | (1n << BigInt(number)), 0n);
  const [low, high] = [Number(mask & 0xffffffffn), Number(mask >> 32n)];
  return [
    // Unknown to the kernel: nothing to drop.
    ...dropped.map((number) => step("prctl", 0, PR_CAPBSET_DROP, number, 0, 0, 0)),
    step("prctl", NOT_SET_UP, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
    // The change of user below still needs its own; the program's are what the bounding set leaves.
    step("capset", 0, integers(CAPABILITY_VERSION_3, 0), integers(low | SETIDS, low | SETIDS, 0, high, high, 0)),
  ];
}

/** CAP_SETGID, CAP_SETUID. */
const SETIDS = (1 << 6) | (1 << 7);

/**
 * The starter as an ELF file.
 * @throws Error on an architecture other than x64 and arm64
 */
export function starterFile(plan: StarterPlan, arch: string = process.arch): Buffer {
  const machine = MACHINES[arch];
  if (!machine) throw new Error(`podwire runs on x64 and arm64, not on ${arch}`);
  const code = Buffer.from(machine.code, "hex");
  const steps = stepsOf(plan);
  const table = Buffer.alloc((steps.length + 1) * ENTRY_WORDS * 8);
  const data = new Data(BASE + HEADERS + code.length + table.length);
  for (const [i, step] of steps.entries()) writeEntry(table, i, machine.calls[step.call], step, data);
  writeEntry(table, steps.length, machine.calls.exitGroup, { arguments: [NOT_EXECUTED], exit: NOT_EXECUTED }, data);
  const body = Buffer.concat([code, table, data.bytes]);
  return Buffer.concat([headers(machine.elf, HEADERS + body.length), body]);
}

function writeEntry(table: Buffer, index: number, number: number, step: Omit<Step, "call">, data: Data): void {
  const values = step.arguments.map((argument) => (typeof argument === "number" ? argument : data.address(argument)));
  const at = index * ENTRY_WORDS * 8;
  for (const [i, value] of [number, ...values].entries()) table.writeBigInt64LE(BigInt(value), at + i * 8);
  table.writeBigInt64LE(BigInt(step.exit), at + 56);
}

/** ELF64 header and program headers: the file read-only and executable, a page to write to, a stack without code. */
function headers(machine: number, size: number): Buffer {
  const buffer = Buffer.alloc(HEADERS);
  buffer.write("\x7fELF\x02\x01\x01", 0, "latin1");
  buffer.writeUInt16LE(2, 16);
  buffer.writeUInt16LE(machine, 18);
  buffer.writeUInt32LE(1, 20);
  buffer.writeBigUInt64LE(BigInt(BASE + HEADERS), 24);
  buffer.writeBigUInt64LE(64n, 32);
  for (const [value, offset] of [
    [64, 52],
    [56, 54],
    [3, 56],
    [64, 58],
  ] as const)
    buffer.writeUInt16LE(value, offset);
  const [LOAD, STACK] = [1, 0x6474e551];
  const [X, W, R] = [1, 2, 4];
  segment(buffer, 0, { type: LOAD, flags: R | X, address: BASE, inFile: size, inMemory: size });
  segment(buffer, 1, { type: LOAD, flags: R | W, address: SCRATCH, inFile: 0, inMemory: 4096 });
  segment(buffer, 2, { type: STACK, flags: R | W, address: 0, inFile: 0, inMemory: 0 });
  return buffer;
}

interface Segment {
  readonly type: number;
  readonly flags: number;
  readonly address: number;
  readonly inFile: number;
  readonly inMemory: number;
}

function segment(buffer: Buffer, index: number, { type, flags, address, inFile, inMemory }: Segment): void {
  const at = 64 + index * 56;
  buffer.writeUInt32LE(type, at);
  buffer.writeUInt32LE(flags, at + 4);
  for (const [i, value] of [0, address, address, inFile, inMemory, ALIGN].entries())
    buffer.writeBigUInt64LE(BigInt(value), at + 8 + i * 8);
}

/**
 * The starter as a file in memory, which a process executes through /proc/self/fd.
 * @returns its descriptor, closed at exec
 * @throws SysError
 */
export function openStarter(plan: StarterPlan): number {
  const MFD_CLOEXEC = 1;
  const fd = check(libc.memfdCreate("starter", MFD_CLOEXEC), "memfd_create");
  const file = starterFile(plan);
  if (libc.write(fd, file, file.length) !== file.length) {
    libc.close(fd);
    throw new Error("the starter could not be written");
  }
  return fd;
}
