import type { Element } from "./model.ts";
import type { Operation } from "./transaction.ts";

/** Details of an {@link NftError}. */
export interface NftErrorDetails {
  /** Symbolic errno, such as "EEXIST". */
  readonly code: string;
  /** The kernel's own explanation, "" when it gave none. */
  readonly reason: string;
  /** The refused operation; undefined when the whole batch was refused. */
  readonly operation?: Operation;
  /** The refused element, when the kernel said which. */
  readonly element?: Element;
  /** Pieces of the transaction that are in the kernel already: 0 unless it needed several sends. */
  readonly committedSends: number;
}

/** A transaction was refused. `message` names the object. */
export class NftError extends Error implements NftErrorDetails {
  readonly code: string;
  readonly reason: string;
  readonly operation?: Operation;
  readonly element?: Element;
  readonly committedSends: number;

  constructor(what: string, details: NftErrorDetails) {
    const partly = details.committedSends ? ` (after ${details.committedSends} sends that took effect)` : "";
    super(`nftables: ${what}: ${details.code}${details.reason ? `: ${details.reason}` : ""}${partly}`);
    this.name = "NftError";
    this.code = details.code;
    this.reason = details.reason;
    if (details.operation) this.operation = details.operation;
    if (details.element) this.element = details.element;
    this.committedSends = details.committedSends;
  }
}
