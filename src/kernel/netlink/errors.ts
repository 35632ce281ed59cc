import { errnoName } from "#kernel/ffi/index.ts";

/** One refused message of a batch. */
export interface NetlinkFailure {
  /** Position of the message in its batch, from 0. */
  readonly index: number;
  /** Positive errno. */
  readonly errno: number;
  /** The kernel's own explanation (extended acknowledgement), "" when it gave none. */
  readonly reason: string;
  /** Byte of the message at which the refused attribute begins, when the kernel says so. */
  readonly offset?: number;
}

/**
 * The kernel refused one or more messages of a batch. The others of a route netlink batch took effect.
 * `code`, `errno` and `index` are the first failure's.
 */
export class NetlinkError extends Error {
  /** Symbolic errno, such as "EEXIST". */
  readonly code: string;
  /** Positive errno value. */
  readonly errno: number;
  /** Position of the first refused message in its batch, from 0. */
  readonly index: number;
  readonly failures: readonly NetlinkFailure[];

  /** @param describe says what message number `index` wanted */
  constructor(failures: readonly [NetlinkFailure, ...NetlinkFailure[]], describe: (index: number) => string) {
    const first = failures[0];
    const reason = first.reason ? `: ${first.reason}` : "";
    const more = failures.length > 1 ? ` (and ${failures.length - 1} more)` : "";
    super(`${describe(first.index)}: ${errnoName(first.errno)}${reason}${more}`);
    this.name = "NetlinkError";
    this.code = errnoName(first.errno);
    this.errno = first.errno;
    this.index = first.index;
    this.failures = failures;
  }
}
