import type { Transport } from "#api/index.ts";
import type { Dict, StoredObject } from "../object.ts";

/** An answer of JSON. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: StoredObject & { message?: string; items?: StoredObject[]; reason?: string; details?: Dict };
}

/** Sends a request and reads the JSON of its answer. */
export async function ask(
  transport: Transport,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const sent =
    body === undefined
      ? {}
      : { body: typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body) };
  const response = await transport.request({
    method,
    path,
    headers: { "content-type": "application/json", ...headers },
    ...sent,
  });
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  return {
    status: response.status,
    headers: response.headers,
    body: text.startsWith("{") ? JSON.parse(text) : { message: text },
  };
}

/** The events of a watch, read one by one. */
export async function watch(transport: Transport, path: string, headers: Record<string, string> = {}) {
  const abort = new AbortController();
  const response = await transport.request({ method: "GET", path, headers, signal: abort.signal });
  const iterator = lines(response.body);
  return {
    status: response.status,
    next: async () =>
      JSON.parse((await iterator.next()).value ?? "null") as {
        type: string;
        object: StoredObject & { rows?: { cells: unknown[] }[]; columnDefinitions?: unknown[] };
      },
    stop: async () => {
      abort.abort();
      await iterator.return(undefined);
    },
  };
}

async function* lines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  try {
    for await (const chunk of body) {
      rest += Buffer.from(chunk).toString();
      for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
        yield rest.slice(0, end);
        rest = rest.slice(end + 1);
      }
    }
  } catch (error) {
    if ((error as Error).name !== "AbortError") throw error;
  }
}
