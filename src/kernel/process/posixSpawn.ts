import { check, libc, SysError } from "#kernel/ffi/index.ts";

/** Sizes of glibc's structures on 64-bit systems, rounded up (spawn.h). */
const ATTRIBUTES_SIZE = 512;
const ACTIONS_SIZE = 256;
const SIGSET_SIZE = 128;
/** POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID (spawn.h). */
const FLAGS = 0x04 | 0x08 | 0x80;
const F_DUPFD_CLOEXEC = 1030;
const O_RDWR = 2;

/** What a new process starts from. */
export interface PosixSpawn {
  readonly path: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Pairs [descriptor of ours, descriptor of the child]. */
  readonly descriptors: readonly (readonly [number, number])[];
  /** A terminal to open as the child's descriptors 0–2; opening it first makes it the controlling one. */
  readonly terminal?: string;
}

function attributes(): Buffer {
  const buffer = Buffer.alloc(ATTRIBUTES_SIZE);
  libc.spawnAttributesInit(buffer);
  libc.spawnAttributesMask(buffer, Buffer.alloc(SIGSET_SIZE));
  libc.spawnAttributesDefault(buffer, Buffer.alloc(SIGSET_SIZE, 0xff));
  libc.spawnAttributesFlags(buffer, FLAGS);
  return buffer;
}

/**
 * posix_spawn(3) in the calling thread's namespaces, as leader of a new session, with all signals at their defaults.
 * @returns the pid as this process sees it
 * @throws SysError when the program cannot be executed
 */
export function posixSpawn(spawn: PosixSpawn): number {
  const actions = Buffer.alloc(ACTIONS_SIZE);
  libc.spawnActionsInit(actions);
  const copies: number[] = [];
  try {
    // A source below the highest target could be overwritten before its turn, so every source is copied upwards.
    for (const [from, to] of spawn.descriptors) {
      const copy = check(libc.fcntl(from, F_DUPFD_CLOEXEC, 64), "fcntl", `descriptor ${from}`);
      copies.push(copy);
      libc.spawnActionsDup2(actions, copy, to);
    }
    if (spawn.terminal !== undefined) {
      libc.spawnActionsOpen(actions, 0, spawn.terminal, O_RDWR, 0);
      libc.spawnActionsDup2(actions, 0, 1);
      libc.spawnActionsDup2(actions, 0, 2);
    }
    // What we inherited from whoever started us is nobody's business there.
    libc.spawnActionsCloseFrom(actions, Math.max(2, ...spawn.descriptors.map(([, to]) => to)) + 1);
    if (spawn.cwd !== "/") libc.spawnActionsChdir(actions, spawn.cwd);
    return execute(spawn, actions);
  } finally {
    for (const copy of copies) libc.close(copy);
    libc.spawnActionsDestroy(actions);
  }
}

function execute(spawn: PosixSpawn, actions: Buffer): number {
  const { path } = spawn;
  const env = Object.entries(spawn.env).map(([name, value]) => `${name}=${value}`);
  const attr = attributes();
  const pid: number[] = [0];
  const errno = libc.posixSpawn(pid, path, actions, attr, [...spawn.argv, null], [...env, null]);
  libc.spawnAttributesDestroy(attr);
  // posix_spawn(3) returns the error number itself instead of setting errno.
  if (errno !== 0) throw new SysError("posix_spawn", errno, path);
  return pid[0] ?? 0;
}
