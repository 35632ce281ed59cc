/** What the peer sent is not SPDY/3.1, or too much of it: the session cannot go on. */
export class SpdyError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "SpdyError";
  }
}
