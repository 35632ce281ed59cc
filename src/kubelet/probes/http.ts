import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Attempt } from "./attempt.ts";

/** Redirects that are followed (net/http's limit, which upstream keeps). */
const MAX_REDIRECTS = 10;

interface Answer {
  readonly status: number;
  readonly location?: string;
}

function ask(url: URL, headers: Readonly<Record<string, string>>, timeoutMs: number): Promise<Answer | "late"> {
  return new Promise((resolve, reject) => {
    // A probe asks whether the container answers, not who it is: certificates are not checked (as upstream).
    const options = { headers, agent: false, timeout: timeoutMs, rejectUnauthorized: false };
    const request = (url.protocol === "https:" ? httpsRequest : httpRequest)(url, options, (response) => {
      response.resume();
      const { statusCode: status = 0, headers: given } = response;
      resolve({ status, ...(given.location === undefined ? {} : { location: given.location }) });
      response.on("end", () => request.destroy());
    });
    request.on("timeout", () => {
      resolve("late");
      request.destroy();
    });
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
    let answer: Answer | "late";
    try {
      answer = await ask(url, headers, Math.max(1, end - performance.now()));
    } catch (error) {
      return { success: false, message: `Get "${first}": ${failed(error)}` };
    }
    if (answer === "late") {
      const message = `Get "${first}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`;
      return { success: false, message };
    }
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
