import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Attempt } from "./attempt.ts";

/** Redirects that are followed (net/http's limit, which upstream keeps). */
const MAX_REDIRECTS = 10;

/** Bytes of an answer's body that are read (upstream's maxRespBodyLength). */
const MAX_BODY = 10 * 1024;

/** Go's words for a time-out (net/http). */
const LATE = {
  headers: "context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
  body: "context deadline exceeded (Client.Timeout or context cancellation while reading body)",
} as const;
/** Go's words for a body that ends before its time (io.ErrUnexpectedEOF). */
const CUT = "unexpected EOF";

interface Answer {
  readonly status: number;
  readonly location?: string;
}

/**
 * One question, with the body's beginning, which says nothing here: a server that goes on writing is let go.
 * @returns what was being waited for when the time was over, or that the body broke off, or the answer
 */
function ask(
  url: URL,
  headers: Readonly<Record<string, string>>,
  timeoutMs: number,
): Promise<Answer | "headers" | "body" | "cut"> {
  return new Promise((resolve, reject) => {
    // A probe asks whether the container answers, not who it is: certificates are not checked (as upstream).
    const options = { headers, agent: false, rejectUnauthorized: false };
    let waitsFor: "headers" | "body" = "headers";
    const request = (url.protocol === "https:" ? httpsRequest : httpRequest)(url, options, (response) => {
      waitsFor = "body";
      const { statusCode: status = 0, headers: given } = response;
      const answered = () => {
        resolve({ status, ...(given.location === undefined ? {} : { location: given.location }) });
        request.destroy();
      };
      let length = 0;
      response.on("data", (chunk: Buffer) => {
        length += chunk.length;
        if (length > MAX_BODY) answered();
      });
      response.on("end", answered);
      response.on("error", () => resolve("cut"));
    });
    // For all of it together: one that sends a byte now and then is late as well.
    const timer = setTimeout(() => {
      resolve(waitsFor);
      request.destroy();
    }, timeoutMs);
    request.on("close", () => clearTimeout(timer));
    request.on("error", reject);
    request.end();
  });
}

/**
 * Asks by HTTP. Redirects to the same host are followed; one that leads elsewhere is an answer, as every status from
 * 200 to 399.
 * @param failed what to say of an error
 */
export async function httpProbe(
  first: string,
  headers: Readonly<Record<string, string>>,
  timeoutMs: number,
  failed: (error: unknown) => string,
): Promise<Attempt> {
  const end = performance.now() + timeoutMs;
  let url = new URL(first);
  for (let hops = 0; ; hops++) {
    let answer: Awaited<ReturnType<typeof ask>>;
    try {
      answer = await ask(url, headers, Math.max(1, end - performance.now()));
    } catch (error) {
      return { success: false, message: `Get "${first}": ${failed(error)}` };
    }
    if (answer === "headers") return { success: false, message: `Get "${first}": ${LATE.headers}` };
    // Upstream takes what goes wrong after the headers for an error of the probe, not for a failure.
    if (typeof answer === "string")
      return { success: false, message: answer === "body" ? LATE.body : CUT, errored: "failure" };
    const { status, location } = answer;
    const next = status >= 300 && status < 400 && location !== undefined ? new URL(location, url) : undefined;
    if (next?.hostname !== url.hostname) {
      const success = status >= 200 && status < 400;
      return { success, message: success ? "" : `HTTP probe failed with statuscode: ${status}` };
    }
    if (hops === MAX_REDIRECTS) {
      const message = `Get "${location}": stopped after ${MAX_REDIRECTS} redirects`;
      return { success: false, message };
    }
    url = next;
  }
}
