import koffi from "koffi";

/** Second names of a value that has a usual one (EAGAIN, EDEADLK, EOPNOTSUPP). */
const aliases = new Set(["EWOULDBLOCK", "EDEADLOCK", "ENOTSUP"]);

/** Names of errno values on this machine, e.g. 1 → "EPERM". */
const names = new Map<number, string>(
  Object.entries(koffi.os.errno)
    .filter(([name]) => !aliases.has(name))
    .map(([name, value]) => [value, name]),
);

/**
 * Name of an errno value.
 * @param errno positive errno (include/uapi/asm-generic/errno.h)
 * @returns its symbolic name, or "errno N" when unknown
 */
export function errnoName(errno: number): string {
  return names.get(errno) ?? `errno ${errno}`;
}

/** A failed system call: which call, what it was about, and the errno. */
export class SysError extends Error {
  /** Symbolic errno, as Node's own errors carry it ("EPERM", …). */
  readonly code: string;
  /** Positive errno value. */
  readonly errno: number;
  /** Name of the system call. */
  readonly syscall: string;

  constructor(syscall: string, errno: number, detail?: string) {
    super(`${syscall}: ${errnoName(errno)}${detail ? ` (${detail})` : ""}`);
    this.name = "SysError";
    this.code = errnoName(errno);
    this.errno = errno;
    this.syscall = syscall;
  }
}

/**
 * Turns a C return value into a number, or throws.
 * Must be called right after the foreign call: errno is per thread.
 * @throws SysError when `result` is negative
 */
export function check(result: number | bigint, syscall: string, detail?: string): number {
  const value = Number(result);
  if (value < 0) throw new SysError(syscall, koffi.errno(), detail);
  return value;
}

/**
 * Symbolic errno of the foreign call just made, which failed. For failures that are a usual answer (nothing is waiting):
 * an error object would cost a walk of the stack.
 */
export function lastErrno(): string {
  return errnoName(koffi.errno());
}

/** True for a failed system call with the given symbolic errno. */
export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && (error as { code?: unknown }).code === code;
}
