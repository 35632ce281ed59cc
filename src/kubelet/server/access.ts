import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";
import { type Client, resource } from "#api/index.ts";
import { RequestError } from "./requests.ts";

/** Who asks. */
export interface Requester {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
}

/** What is asked for, as RBAC sees it: a verb on a subresource of the node. */
export interface NodeAccess {
  readonly verb: string;
  /** Most specific first: one of them has to be allowed. */
  readonly subresources: readonly string[];
}

/** Whom the node agent's server trusts. */
export interface AccessOptions {
  readonly nodeName: string;
  /** The common name of the API server's client certificate: it has decided itself who may. */
  readonly apiServer: string;
}

/** How long answers of the API are believed, in ms (upstream: webhook.cacheAuthorizedTTL and its companions). */
const ALLOWED_MS = 5 * 60_000;
const DENIED_MS = 30_000;
const TOKEN_MS = 2 * 60_000;
const MAX_CACHED = 1000;

const VERBS: Readonly<Record<string, string>> = {
  POST: "create",
  GET: "get",
  HEAD: "get",
  PUT: "update",
  PATCH: "patch",
  DELETE: "delete",
};

/** Paths with subresources of their own (kubelet/server/auth.go); all others are `proxy`. */
const OWN: readonly (readonly [prefix: string, ...subresources: string[]])[] = [
  ["/stats", "stats"],
  ["/metrics", "metrics"],
  ["/logs", "log"],
  ["/checkpoint", "checkpoint"],
  ["/pods", "pods", "proxy"],
  ["/runningpods", "pods", "proxy"],
  ["/healthz", "healthz", "proxy"],
  ["/configz", "configz", "proxy"],
];

/** What a request needs. */
export function accessOf(method: string, path: string): NodeAccess {
  const own = OWN.find(([prefix]) => path === prefix || path.startsWith(`${prefix}/`));
  return { verb: VERBS[method] ?? "", subresources: own?.slice(1) ?? ["proxy"] };
}

/**
 * Decides who may use the node agent's server. The API server may, by the name in its certificate; who else has a
 * certificate of the cluster's or a token of the API's is asked for there, by TokenReview and SubjectAccessReview, as
 * with upstream's webhook mode. Nobody comes in unnamed.
 */
export class KubeletAccess {
  readonly #options: AccessOptions;
  readonly #client: Client;
  readonly #cache = new Map<string, { readonly until: number; readonly value: unknown }>();

  constructor(options: AccessOptions, client: Client) {
    this.#options = options;
    this.#client = client;
  }

  /** @throws RequestError 401 for nobody, 403 for somebody who may not, in upstream's words */
  async check(request: IncomingMessage, path: string): Promise<void> {
    const shown = certificateUser(request);
    // By its certificate alone: a token's user may have any name.
    if (shown?.name === this.#options.apiServer) return;
    const requester = shown ?? (await this.#tokenUser(request));
    if (!requester) throw new RequestError(401, "Unauthorized");
    const access = accessOf(request.method ?? "", path);
    for (const subresource of access.subresources) {
      if (await this.#allowed(requester, access.verb, subresource)) return;
    }
    const { nodeName } = this.#options;
    throw new RequestError(
      403,
      `Forbidden (user=${requester.name}, verb=${access.verb}, resource=nodes, subresource(s)=[${access.subresources.join(" ")}]) on node ${nodeName}`,
    );
  }

  async #tokenUser(request: IncomingMessage): Promise<Requester | undefined> {
    const token = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? "")?.[1];
    if (token === undefined) return undefined;
    return this.#remember(
      `token ${token}`,
      () => TOKEN_MS,
      async () => {
        const review = resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", false);
        const body = { kind: "TokenReview", apiVersion: "authentication.k8s.io/v1", metadata: {}, spec: { token } };
        const { status } = await this.#client.post<TokenReview>(review, undefined, body);
        const { authenticated, user } = status ?? {};
        return authenticated && user ? { name: user.username, groups: user.groups ?? [] } : undefined;
      },
    );
  }

  #allowed({ name, uid, groups }: Requester, verb: string, subresource: string): Promise<boolean> {
    const key = JSON.stringify([name, uid, groups, verb, subresource]);
    return this.#remember(
      key,
      (allowed) => (allowed ? ALLOWED_MS : DENIED_MS),
      async () => {
        const review = resource("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", false);
        const resourceAttributes = {
          verb,
          version: "v1",
          resource: "nodes",
          subresource,
          name: this.#options.nodeName,
        };
        const body = {
          kind: "SubjectAccessReview",
          apiVersion: "authorization.k8s.io/v1",
          metadata: {},
          spec: { user: name, groups, ...(uid ? { uid } : {}), resourceAttributes },
        };
        const { status } = await this.#client.post<{ status?: { allowed?: boolean } }>(review, undefined, body);
        return status?.allowed ?? false;
      },
    );
  }

  async #remember<T>(key: string, ttl: (value: T) => number, ask: () => Promise<T>): Promise<T> {
    const known = this.#cache.get(key);
    if (known && known.until > performance.now()) return known.value as T;
    const value = await ask();
    // The oldest goes: who asks with a thousand tokens learns no more by it.
    if (this.#cache.size >= MAX_CACHED) this.#cache.delete(this.#cache.keys().next().value as string);
    this.#cache.set(key, { until: performance.now() + ttl(value), value });
    return value;
  }
}

interface TokenReview {
  readonly status?: {
    readonly authenticated?: boolean;
    readonly user?: { readonly username: string; readonly groups?: readonly string[] };
  };
}

/** The user of a client certificate that the cluster's authority signed. */
function certificateUser(request: IncomingMessage): Requester | undefined {
  const socket = request.socket as TLSSocket;
  if (!socket.authorized) return undefined;
  const subject: { CN?: string | string[]; O?: string | string[] } = socket.getPeerCertificate().subject ?? {};
  const name = [subject.CN].flat()[0];
  if (!name) return undefined;
  const groups = [subject.O].flat().filter((group) => group !== undefined);
  return { name, groups: [...groups, "system:authenticated"] };
}
