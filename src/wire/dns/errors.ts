/** What can be wrong with a message or a name. */
export type DnsErrorCode = "truncated" | "bad-name" | "bad-pointer" | "bad-rdata" | "bad-value" | "too-large";

/**
 * The only error that this codec throws: bytes that are no DNS message, or a value that has no wire form.
 * `offset` is the byte position in the message, where there is one.
 */
export class DnsError extends Error {
  readonly code: DnsErrorCode;
  readonly offset: number | undefined;

  constructor(code: DnsErrorCode, message: string, offset?: number) {
    super(offset === undefined ? message : `${message} (byte ${offset})`);
    this.name = "DnsError";
    this.code = code;
    this.offset = offset;
  }
}
