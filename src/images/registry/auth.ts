import type { Credentials } from "../credentials.ts";
import { ImageFault } from "../errors.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import { type Http, readBody } from "./http.ts";

const MAX_TOKEN_ANSWER = 1024 * 1024;
/** Registries give tokens for a minute at least (distribution-spec, token authentication); asked for anew a bit before. */
const DEFAULT_SECONDS = 60;

interface Token {
  readonly header: string;
  /** On the clock of performance.now(). */
  readonly until: number;
}

/** Proves to one place who asks: by nothing, a name and a password, or a token that a third party gives out for them. */
export class Authorizer {
  readonly #http: Http;
  readonly #credentials: Credentials | undefined;
  readonly #insecure: boolean;
  readonly #tokens = new Map<string, Token>();

  /** @param insecure the place is configured as insecure: names may go over plain http */
  constructor(http: Http, credentials: Credentials | undefined, insecure: boolean) {
    this.#http = http;
    this.#credentials = credentials;
    this.#insecure = insecure;
  }

  /** The header to send for a scope, if one is known already. */
  known(scope: string): string | undefined {
    const token = this.#tokens.get(scope);
    return token && token.until > performance.now() ? token.header : undefined;
  }

  /**
   * Answers a refusal (401).
   * @param header WWW-Authenticate of the answer
   * @returns the header to try again with; undefined when there is nothing more to say
   * @throws ImageFault
   */
  async answer(header: string, scope: string, signal?: AbortSignal): Promise<string | undefined> {
    const challenges = parseChallenges(header);
    const bearer = challenges.find(({ scheme }) => scheme === "bearer");
    const token = bearer
      ? await this.#token(bearer, scope, signal)
      : challenges.some(({ scheme }) => scheme === "basic")
        ? this.#basic()
        : undefined;
    if (token) this.#tokens.set(scope, token);
    return token?.header;
  }

  #basic(): Token | undefined {
    const credentials = this.#credentials;
    if (!credentials?.username) return undefined;
    return { header: basicHeader(credentials), until: Number.POSITIVE_INFINITY };
  }

  async #token({ parameters }: Challenge, scope: string, signal?: AbortSignal): Promise<Token | undefined> {
    const credentials = this.#credentials;
    if (credentials?.registryToken)
      return { header: `Bearer ${credentials.registryToken}`, until: Number.POSITIVE_INFINITY };
    const url = this.#realm(parameters["realm"] ?? "");
    const query: Record<string, string> = {
      ...(parameters["service"] ? { service: parameters["service"] } : {}),
      scope: parameters["scope"] || scope,
    };
    const answer = credentials?.identityToken
      ? await this.#exchange(url, query, credentials.identityToken, signal)
      : await this.#ask(url, query, signal);
    const body = await readBody(answer, MAX_TOKEN_ANSWER);
    if (answer.statusCode !== 200) throw refusal(answer.statusCode ?? 0, url);
    return tokenOf(body, url);
  }

  #realm(text: string): URL {
    let url: URL;
    try {
      url = new URL(text);
    } catch {
      throw new ImageFault("Failed", `no realm specified for token auth challenge: ${JSON.stringify(text)}`);
    }
    if (url.protocol !== "https:" && !(url.protocol === "http:" && this.#insecure))
      throw new ImageFault(
        "Refused",
        `the registry wants its token to be asked for at ${url.origin}, which is not secure`,
      );
    return url;
  }

  #ask(url: URL, query: Readonly<Record<string, string>>, signal?: AbortSignal) {
    const target = new URL(url);
    for (const [name, value] of Object.entries(query)) target.searchParams.append(name, value);
    const credentials = this.#credentials;
    const headers = credentials?.username ? { authorization: basicHeader(credentials) } : {};
    return this.#http.send({
      method: "GET",
      url: target,
      headers,
      insecure: this.#insecure,
      ...(signal ? { signal } : {}),
    });
  }

  #exchange(url: URL, query: Readonly<Record<string, string>>, identityToken: string, signal?: AbortSignal) {
    const body = new URLSearchParams({
      ...query,
      grant_type: "refresh_token",
      refresh_token: identityToken,
      client_id: "podwire",
    }).toString();
    const headers = { "content-type": "application/x-www-form-urlencoded", "content-length": String(body.length) };
    return this.#http.send({
      method: "POST",
      url,
      headers,
      body,
      insecure: this.#insecure,
      ...(signal ? { signal } : {}),
    });
  }
}

function basicHeader({ username, password }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

function refusal(status: number, url: URL): ImageFault {
  const words = `failed to authorize: failed to fetch ${status === 401 ? "oauth token" : "anonymous token"}: unexpected status from GET request to ${url.origin}${url.pathname}: ${status}`;
  return new ImageFault(status === 401 || status === 403 ? "Denied" : "Failed", words);
}

function tokenOf(body: Buffer, url: URL): Token {
  let document: { token?: unknown; access_token?: unknown; expires_in?: unknown };
  try {
    document = JSON.parse(body.toString("utf8")) as typeof document;
  } catch {
    throw new ImageFault("Failed", `unable to decode token response of ${url.origin}`);
  }
  const token = document.access_token || document.token;
  // A header made of anything else could hold a line of its own.
  if (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token))
    throw new ImageFault("Failed", "authorization server did not include a token in the response");
  const seconds = Number(document.expires_in) > 0 ? Number(document.expires_in) : DEFAULT_SECONDS;
  return { header: `Bearer ${token}`, until: performance.now() + Math.max(seconds - 10, 5) * 1000 };
}
