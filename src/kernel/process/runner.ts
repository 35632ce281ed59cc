import { check, isErrno, libc } from "#kernel/ffi/index.ts";
import { MEMORY, MEMORY_SIZE } from "./script.ts";

/**
 * The runner: the first program of every process that gets a root or rights of its own. It reads system calls from
 * descriptor 9 and makes them one after the other, until one of them (execve) replaces it. What fails is told on
 * descriptor 8.
 *
 * With it a container needs no shell, setpriv or init of its image or of the machine in order to be started; its
 * program is the first process of its pid namespace, as with every container runtime; and it is known exactly what a
 * start has failed of.
 *
 *     batch:  read(9, M, 8): the length of what follows; read(9, M, length), until all is there
 *     step:   number, six arguments, flag, 64 bytes each from M on; number -1: next batch
 *             a negative result and no flag: write(8, {address of the step, result}, 16), exit with 255
 */
const CODE = {
  x64: [
    "bb00000010", // batch: ebx = M
    "6a095f 4889de 6a085a 31c0 0f05", // read(9, rbx, 8)
    "4883f808 7564", // not 8: die
    "488b2b 4989dc", // rbp = length, r12 = rbx
    "6a095f 4c89e6 4889ea 31c0 0f05", // more: read(9, r12, rbp)
    "4885c0 7e4c", // 0 or less: die
    "4901c4 4829c5 75e6", // r12 += n, rbp -= n; not 0: more
    "488b03 4883f8ff 74bf", // step: rax = number; -1: batch
    "488b7b08 488b7310 488b5318 4c8b5320 4c8b4328 4c8b4b30", // rdi rsi rdx r10 r8 r9
    "0f05 4885c0 7927", // syscall; not negative: next
    "48837b3800 7520", // flag: next
    "48891b 48894308", // report = {rbx, rax}
    "6a085f 4889de 6a105a 6a0158 0f05", // write(8, rbx, 16)
    "68ff0000005f 6a3c58 0f05", // die: exit(255)
    "4883c340 ebab", // next: rbx += 64; step
  ],
  // Words of 32 bits, in the order of their bytes' weight.
  arm64: [
    "d2a20013", // batch: x19 = M
    "d2800120 aa1303e1 d2800102 d28007e8 d4000001", // read(9, x19, 8)
    "f100201f 540003c1", // not 8: die
    "f9400274 aa1303f5", // x20 = length, x21 = x19
    "d2800120 aa1503e1 aa1403e2 d28007e8 d4000001", // more: read(9, x21, x20)
    "f100001f 540002ad", // 0 or less: die
    "8b0002b5 eb000294 54fffee1", // x21 += n, x20 -= n; not 0: more
    "f9400268 b100051f 54fffd40", // step: x8 = number; -1: batch
    "a9408660 a9418e62 a9429664", // x0 … x5
    "d4000001 b6f801a0", // svc; not negative: next
    "f9401e69 b5000169", // flag: next
    "f9000273 f9000660", // report = {x19, x0}
    "d2800100 aa1303e1 d2800202 d2800808 d4000001", // write(8, x19, 16)
    "d2801fe0 d2800ba8 d4000001", // die: exit(255)
    "91010273 17ffffeb", // next: x19 += 64; step
  ],
} as const;

/** Values of elf.h. */
const ELF = { executable: 2, version: 1, load: 1, stack: 0x6474_e551, execute: 1, write: 2, read: 4 } as const;
const MACHINE = { x64: 62, arm64: 183 } as const;
const HEADER_SIZE = 64;
const SEGMENT_SIZE = 56;
const SEGMENTS = 3;
const CODE_ADDRESS = 0x40_0000;
/** The largest pages that a kernel of these architectures has. */
const ALIGNMENT = 0x1_0000;

type Architecture = keyof typeof CODE;

function machineCode(architecture: Architecture): Buffer {
  const bytes = Buffer.from(CODE[architecture].join("").replaceAll(" ", ""), "hex");
  return architecture === "arm64" ? bytes.swap32() : bytes;
}

function segment(type: number, flags: number, address: number, fileSize: number, memorySize: number): Buffer {
  const header = Buffer.alloc(SEGMENT_SIZE);
  header.writeUInt32LE(type, 0);
  header.writeUInt32LE(flags, 4);
  header.writeBigUInt64LE(BigInt(address), 16);
  header.writeBigUInt64LE(BigInt(address), 24);
  header.writeBigUInt64LE(BigInt(fileSize), 32);
  header.writeBigUInt64LE(BigInt(memorySize), 40);
  header.writeBigUInt64LE(BigInt(ALIGNMENT), 48);
  return header;
}

/** The runner as an executable file (elf(5)): its code, and memory for scripts at a fixed address. */
export function runnerFile(architecture: Architecture): Buffer {
  const code = machineCode(architecture);
  const codeOffset = HEADER_SIZE + SEGMENTS * SEGMENT_SIZE;
  const size = codeOffset + code.length;
  const header = Buffer.alloc(HEADER_SIZE);
  // Magic number, 64 bits, little endian, version.
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]).copy(header);
  header.writeUInt16LE(ELF.executable, 16);
  header.writeUInt16LE(MACHINE[architecture], 18);
  header.writeUInt32LE(ELF.version, 20);
  header.writeBigUInt64LE(BigInt(CODE_ADDRESS + codeOffset), 24);
  header.writeBigUInt64LE(BigInt(HEADER_SIZE), 32);
  header.writeUInt16LE(HEADER_SIZE, 52);
  header.writeUInt16LE(SEGMENT_SIZE, 54);
  header.writeUInt16LE(SEGMENTS, 56);
  return Buffer.concat([
    header,
    segment(ELF.load, ELF.read | ELF.execute, CODE_ADDRESS, size, size),
    segment(ELF.load, ELF.read | ELF.write, MEMORY, HEADER_SIZE, MEMORY_SIZE),
    segment(ELF.stack, ELF.read | ELF.write, 0, 0, 0),
    code,
  ]);
}

/** memfd_create(2). */
const MFD = { CLOEXEC: 1, ALLOW_SEALING: 2, EXEC: 0x10 } as const;
/** fcntl(2): F_ADD_SEALS with F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE. */
const F_ADD_SEALS = 1033;
const ALL_SEALS = 0xf;

function createMemfd(flags: number): number {
  const name = Buffer.from("podwire-runner\0");
  return check(libc.memfdCreate(name, flags), "memfd_create");
}

/**
 * Opens the runner: a file in memory that nobody can change, whoever gets hold of it.
 * @returns a descriptor, close-on-exec; the caller closes it
 * @throws SysError
 */
export function openRunner(): number {
  const base = MFD.CLOEXEC | MFD.ALLOW_SEALING;
  let fd: number;
  try {
    // Named from Linux 6.3 on, where files in memory may be barred from being executed.
    fd = createMemfd(base | MFD.EXEC);
  } catch (error) {
    if (!isErrno(error, "EINVAL")) throw error;
    fd = createMemfd(base);
  }
  const file = runnerFile(process.arch as Architecture);
  check(libc.write(fd, file, file.length), "write", "runner");
  check(libc.fcntl(fd, F_ADD_SEALS, ALL_SEALS), "fcntl", "F_ADD_SEALS");
  return fd;
}
