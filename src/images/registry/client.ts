import type { IncomingMessage } from "node:http";
import type { Endpoint } from "../config.ts";
import type { Credentials } from "../credentials.ts";
import { checkDigest, digestOf } from "../digest.ts";
import { ImageFault, isFault } from "../errors.ts";
import { type Descriptor, MANIFEST_TYPES, MAX_DOCUMENT } from "../manifest.ts";
import { Authorizer } from "./auth.ts";
import { type Http, readBody } from "./http.ts";

const MAX_REDIRECTS = 5;
const MAX_ERROR_BODY = 64 * 1024;
/** How often a blob is gone on with after its connection broke, and the first wait, in ms. */
const ATTEMPTS = 5;
/** However far each of them came. */
const MAX_RETRIES = 20;
const FIRST_WAIT_MS = 200;

/** A manifest as the registry gave it. */
export interface FetchedManifest {
  readonly digest: string;
  readonly bytes: Buffer;
}

/** Speaks with one place about one repository (OCI distribution-spec v1.1, section Pull). */
export class RegistryClient {
  readonly #http: Http;
  readonly #endpoint: Endpoint;
  readonly #repository: string;
  readonly #auth: Authorizer;
  /** Added for mirrors, which serve several registries (containerd's `ns`). */
  readonly #namespace: string | undefined;

  constructor(
    http: Http,
    options: {
      readonly endpoint: Endpoint;
      readonly repository: string;
      readonly credentials?: Credentials;
      readonly namespace?: string;
    },
  ) {
    this.#http = http;
    this.#endpoint = options.endpoint;
    this.#repository = options.repository;
    this.#auth = new Authorizer(http, options.credentials, options.endpoint.insecure);
    this.#namespace = options.namespace;
  }

  /**
   * Gets a manifest by tag or digest; it is what its digest says.
   * @throws ImageFault
   */
  async manifest(what: string, signal?: AbortSignal): Promise<FetchedManifest> {
    const url = this.#url(`manifests/${what}`);
    const answer = await this.#get(url, { accept: [...Object.values(MANIFEST_TYPES), "*/*"].join(", ") }, signal);
    if (answer.statusCode !== 200) throw await statusFault(answer, "GET", url);
    const bytes = await readBody(answer, MAX_DOCUMENT);
    const digest = digestOf(bytes);
    const wanted = what.startsWith("sha256:") ? what : answer.headers["docker-content-digest"];
    if (typeof wanted === "string" && wanted.startsWith("sha256:")) checkDigest(digest, wanted);
    return { digest, bytes };
  }

  /**
   * A blob's bytes, gone on with where a broken connection ended them. The caller checks the digest.
   * @throws ImageFault also when there are more bytes than the descriptor says, or fewer
   */
  async *blob({ digest, size }: Descriptor, signal?: AbortSignal): AsyncGenerator<Buffer> {
    let offset = 0;
    let retries = 0;
    for (let attempt = 1; ; attempt++, retries++) {
      try {
        for await (const chunk of await this.#open(digest, offset, signal)) {
          offset += chunk.length;
          if (offset > size)
            throw new ImageFault("Refused", `blob ${digest} has more than the ${size} bytes that its manifest says`);
          attempt = 1;
          yield chunk;
        }
        if (offset === size) return;
        throw new ImageFault("Unreachable", `blob ${digest} ended after ${offset} of ${size} bytes: unexpected EOF`);
      } catch (error) {
        const broken = isFault(error, "Unreachable") || !(error instanceof ImageFault);
        if (!broken || attempt >= ATTEMPTS || retries >= MAX_RETRIES || signal?.aborted) throw asFault(error, digest);
        await new Promise((resolve) => setTimeout(resolve, FIRST_WAIT_MS * 2 ** (attempt - 1)));
      }
    }
  }

  async #open(digest: string, offset: number, signal?: AbortSignal): Promise<AsyncIterable<Buffer>> {
    const url = this.#url(`blobs/${digest}`);
    const range = offset > 0 ? { range: `bytes=${offset}-` } : {};
    const answer = await this.#get(url, range, signal);
    if (offset > 0 && answer.statusCode === 206) return answer as AsyncIterable<Buffer>;
    if (answer.statusCode !== 200) throw await statusFault(answer, "GET", url);
    return offset === 0 ? (answer as AsyncIterable<Buffer>) : skip(answer as AsyncIterable<Buffer>, offset);
  }

  #url(path: string): URL {
    const url = new URL(`${this.#endpoint.base}/v2/${this.#repository}/${path}`);
    if (this.#namespace !== undefined) url.searchParams.set("ns", this.#namespace);
    return url;
  }

  /** GET with authorization, behind redirects; whatever status comes in the end. */
  async #get(url: URL, headers: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<IncomingMessage> {
    const scope = `repository:${this.#repository}:pull`;
    let authorization = this.#auth.known(scope);
    for (let attempt = 0; ; attempt++) {
      const answer = await this.#follow(url, { ...headers, ...(authorization ? { authorization } : {}) }, signal);
      if (answer.statusCode !== 401 || attempt > 0) return answer;
      const challenge = answer.headers["www-authenticate"];
      answer.resume();
      authorization = challenge ? await this.#auth.answer(challenge, scope, signal) : undefined;
      if (!authorization) throw denied();
    }
  }

  /** Credentials go to the place that they are for alone: neither to another host, nor from https to http. */
  async #follow(start: URL, headers: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<IncomingMessage> {
    let url = start;
    for (let hops = 0; ; hops++) {
      const { authorization, ...others } = headers;
      const same = url.origin === start.origin;
      const answer = await this.#http.send({
        method: "GET",
        url,
        headers: { "user-agent": "podwire", ...others, ...(same && authorization ? { authorization } : {}) },
        insecure: this.#endpoint.insecure,
        ...(signal ? { signal } : {}),
      });
      const { location } = answer.headers;
      if (![301, 302, 303, 307, 308].includes(answer.statusCode ?? 0) || location === undefined) return answer;
      answer.resume();
      if (hops >= MAX_REDIRECTS) throw new ImageFault("Failed", `stopped after ${MAX_REDIRECTS} redirects`);
      url = this.#target(location, url);
    }
  }

  #target(location: string, from: URL): URL {
    const url = URL.parse(location, from.href);
    if (!url || !["http:", "https:"].includes(url.protocol))
      throw new ImageFault("Failed", `the registry redirects to ${JSON.stringify(location)}`);
    if (url.protocol === "http:" && !this.#endpoint.insecure)
      throw new ImageFault("Refused", `the registry redirects from https to ${url.origin}, which is not secure`);
    return url;
  }
}

async function* skip(chunks: AsyncIterable<Buffer>, count: number): AsyncGenerator<Buffer> {
  let left = count;
  for await (const chunk of chunks) {
    const cut = Math.min(left, chunk.length);
    left -= cut;
    if (cut < chunk.length) yield chunk.subarray(cut);
  }
}

function denied(): ImageFault {
  return new ImageFault(
    "Denied",
    "pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials",
  );
}

/** What a status other than 200 means. */
async function statusFault(answer: IncomingMessage, method: string, url: URL): Promise<ImageFault> {
  const status = answer.statusCode ?? 0;
  const body = await readBody(answer, MAX_ERROR_BODY).catch(() => Buffer.alloc(0));
  if (status === 404) return new ImageFault("NotFound", "not found");
  if (status === 401 || status === 403) {
    const said = serverMessage(body);
    const words = "pull access denied, repository does not exist or may require authorization";
    return new ImageFault("Denied", `${words}: ${said ? `server message: ${said}` : "authorization failed"}`);
  }
  return new ImageFault(
    "Failed",
    `unexpected status from ${method} request to ${url.origin}${url.pathname}: ${status} ${answer.statusMessage ?? ""}`.trim(),
  );
}

/** The first error of a registry's body (distribution-spec, Error Codes): one line, of bounded length. */
function serverMessage(body: Buffer): string {
  try {
    const { errors } = JSON.parse(body.toString("utf8")) as { errors?: { code?: unknown; message?: unknown }[] };
    const { code, message } = errors?.[0] ?? {};
    const words = [code, message].filter((word) => typeof word === "string").map((word) => String(word));
    return words
      .join(": ")
      .replaceAll(/[^\x20-\x7e]/g, " ")
      .slice(0, 200);
  } catch {
    return "";
  }
}

function asFault(error: unknown, digest: string): ImageFault {
  if (error instanceof ImageFault) return error;
  return new ImageFault("Unreachable", `blob ${digest}: ${(error as Error).message}`, error);
}
