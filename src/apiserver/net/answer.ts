import type { Writable } from "node:stream";
import type { Reply } from "../rest/call.ts";
import type { Pieces } from "../rest/pieces.ts";
import type { Outlet } from "./exchange.ts";
import { readyForMore } from "./pace.ts";

/** Who waits for an answer. */
export interface Receiver {
  readonly method: string;
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
}

/** Sends an answer that is no stream. Resolves when it is on its way. */
export async function send(reply: Reply, outlet: Outlet, receiver: Receiver): Promise<void> {
  const { out } = outlet;
  if (out.destroyed) return;
  const bare = receiver.method === "HEAD" || reply.status === 304;
  if (reply.pieces) {
    outlet.head(reply.status, reply.headers);
    if (bare) out.end();
    else await sendPieces(reply.pieces, out, receiver.signal);
    return;
  }
  const body = typeof reply.body === "string" ? Buffer.from(reply.body) : reply.body;
  const headers = reply.status === 304 ? reply.headers : { ...reply.headers, "content-length": String(body.length) };
  outlet.head(reply.status, headers);
  out.end(bare ? undefined : body);
}

/** Sends as fast as the client reads, and lets others have their turn in between. */
async function sendPieces(pieces: Pieces, out: Writable, signal: AbortSignal): Promise<void> {
  for (const piece of pieces) {
    if (signal.aborted) return;
    out.write(piece, () => pieces.sent(piece));
    await readyForMore(out);
  }
  out.end();
}
