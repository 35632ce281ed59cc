import { StatusError, tooLarge } from "../errors.ts";
import { bodyLimit } from "../rest/body.ts";
import type { Exchange } from "./exchange.ts";

/** Longest time that a body may take (kube-apiserver's --request-timeout). */
const bodyTimeoutMs = 60_000;

function bodyTimeout(): StatusError {
  return new StatusError(504, "Timeout", "Timeout: request did not complete within the allotted timeout", {});
}

/**
 * The whole body of a request. Rejects with StatusError 413 and 504, and when the client goes before its end. By
 * events: iterating over the stream took a fortieth of a creation's time.
 */
export function readBody({ body, headers, refuseBody }: Exchange): Promise<Buffer> {
  if (Number(headers["content-length"] ?? 0) > bodyLimit) return Promise.reject(tooLarge(bodyLimit));
  if (body.readableEnded) return Promise.resolve(Buffer.alloc(0));
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  let size = 0;
  const refuse = (error: StatusError): void => {
    body.off("data", take);
    refuseBody();
    reject(error);
  };
  // A client that sends its body drop by drop is cut off.
  const timer = setTimeout(() => refuse(bodyTimeout()), bodyTimeoutMs);
  const take = (chunk: Buffer): void => {
    size += chunk.length;
    if (size > bodyLimit) refuse(tooLarge(bodyLimit));
    else chunks.push(chunk);
  };
  body.on("data", take);
  body.once("end", () => {
    clearTimeout(timer);
    resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size));
  });
  body.once("error", reject);
  body.once("close", () => {
    clearTimeout(timer);
    if (!body.readableEnded) reject(new Error("the client has gone"));
  });
  return promise;
}
