/** Nothing is kept at present: the log cannot be written. What was not acknowledged may or may not be there later. */
export class StoreFailedError extends Error {
  constructor(cause: Error) {
    super(`the store cannot keep anything at present: ${cause.message}`);
  }
}

/** The revision asked for is no longer remembered. */
export class CompactedError extends Error {
  readonly requested: number;
  readonly oldest: number;

  constructor(requested: number, oldest: number) {
    super(`revision ${requested} has been compacted, the oldest kept is ${oldest}`);
    this.requested = requested;
    this.oldest = oldest;
  }
}

/** An object is larger than the store takes; the message is the one that clients know from etcd. */
export class TooLargeError extends Error {
  constructor() {
    super("etcdserver: request is too large");
  }
}
