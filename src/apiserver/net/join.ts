import { type Duplex, finished } from "node:stream";

/** How long what a client still sends is read after its answer is out, in ms: a reset would take the answer away. */
const LINGER_MS = 2000;

/** Longest head of an answer to a request for an upgrade, in bytes. */
const MAX_HEAD = 64 << 10;

/**
 * Joins a client with a server as soon as the server has left HTTP. Any other answer is passed on and is the last
 * thing: what the client sends besides would be further requests in this server's own name (CVE-2018-1002105).
 * Rejects when there is no answer.
 * @param early what the client has already sent in the new protocol
 */
export async function joinSwitched(client: Duplex, server: Duplex, early: Buffer): Promise<void> {
  const answer = await answerOf(server);
  client.write(answer);
  if (/^HTTP\/1\.[01] 101\b/.test(answer.toString("latin1", 0, 16))) {
    if (early.length > 0) server.write(early);
    joinConnections(client, server);
    return;
  }
  client.resume();
  server.on("error", () => server.destroy());
  server.on("close", () => server.readableEnded || client.destroy());
  server.end();
  server.pipe(client);
}

/** What a server sends up to the end of its answer's head, and what came with it. */
function answerOf(server: Duplex): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  let answer: Buffer = Buffer.alloc(0);
  const onData = (chunk: Buffer): void => {
    answer = Buffer.concat([answer, chunk]);
    if (!answer.includes("\r\n\r\n")) {
      if (answer.length > MAX_HEAD) server.destroy(new Error("the head of the answer is too long"));
      return;
    }
    server.pause();
    server.off("data", onData).off("end", onEnd).off("close", onEnd);
    resolve(answer);
  };
  const onEnd = (): void => {
    server.destroy();
    reject(new Error("unexpected EOF"));
  };
  server.on("data", onData).on("end", onEnd).on("close", onEnd);
  server.once("error", reject);
  return promise;
}

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
