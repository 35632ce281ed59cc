import type { User } from "../kinds/definition.ts";
import type { YamlReader } from "./go-yaml.ts";
import { JsonPieces, type Pieces } from "./pieces.ts";

/** A request, wherever it came from. */
export interface Call {
  readonly method: string;
  /** Path with the query string. */
  readonly url: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Every value of a header that may come more than once; absent: `headers` has all there is. */
  headerValues?(name: string): readonly string[];
  /** The whole body. Throws StatusError 413 when it is too long. */
  body(): Promise<Buffer>;
  /** Reads a body of YAML. */
  readonly yaml: YamlReader;
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
  /** Known already for calls inside the process. */
  readonly user?: User;
  /** The user of the client certificate; undefined without one, false for one that proves nothing. */
  certificateUser?(): User | undefined | false;
  /** Told when the client has shown who it is. */
  authenticated?(): void;
}

/** Where a streamed answer goes. */
export interface Sink {
  /** Bytes accepted and not yet sent. */
  readonly backlog: number;
  write(chunk: Uint8Array): void;
  /** Resolves when more may follow: others have had their turn, and a slow client has read, or is gone. */
  ready(): Promise<void>;
  /** Takes an event of a watch as it is instead of its bytes: only where the client is in this process. */
  event?(type: string, object: object): void;
  end(): void;
}

/** An answer; `stream` is for watches. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
  /** A body that is made while it is sent, instead of `body`: between two pieces other requests get their turn. */
  readonly pieces?: Pieces;
  /**
   * Set for answers that go on: called once the head is out, with a signal that ends with the client. Settles when what was
   * there already has been sent, and rejects where the answer has to be broken off.
   */
  readonly stream?: (sink: Sink, signal: AbortSignal) => Promise<void>;
}

/** An answer of JSON. */
export function jsonReply(body: unknown, status = 200, headers: Record<string, string> = {}): Reply {
  return {
    status,
    headers: { "content-type": "application/json", "cache-control": "no-cache, private", ...headers },
    body: `${typeof body === "string" ? body : JSON.stringify(body)}\n`,
  };
}

/**
 * An answer of JSON that is made piece by piece: a list of ten thousand objects would otherwise stop the server for
 * a tenth of a second, and stand in memory whole for a client that reads slowly.
 * @param items the elements of its last part, made one by one
 */
export function jsonPieces(head: string, items: Iterable<string>, tail: string): Reply {
  const headers = { "content-type": "application/json", "cache-control": "no-cache, private" };
  return { status: 200, headers, body: "", pieces: new JsonPieces(head, items, `${tail}\n`) };
}

/** An answer of plain text. */
export function textReply(body: string, status = 200): Reply {
  return {
    status,
    headers: { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" },
    body,
  };
}
