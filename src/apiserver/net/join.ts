import { type Duplex, finished } from "node:stream";

/** How long what a client still sends is read after its answer is out, in ms: a reset would take the answer away. */
const LINGER_MS = 2000;

/** Copies both ways with back-pressure. Half-closed stays half-closed; when one side is cut off, so is the other. */
export function joinConnections(a: Duplex, b: Duplex): void {
  a.pipe(b);
  b.pipe(a);
  for (const [one, other] of [
    [a, b],
    [b, a],
  ] as const) {
    one.on("error", () => one.destroy());
    one.on("close", () => {
      if (one.readableEnded) linger(other);
      else other.destroy();
    });
  }
}

/** Ends a connection after what it has yet to send, however long the other side takes for it. */
function linger(stream: Duplex): void {
  if (stream.destroyed) return;
  stream.end();
  stream.resume();
  finished(stream, { readable: false }, () => {
    if (stream.destroyed) return;
    const timer = setTimeout(() => stream.destroy(), LINGER_MS);
    stream.on("close", () => clearTimeout(timer));
  });
}
