import type { TokenIssuer } from "../auth/tokens.ts";
import { serverVersion } from "../options.ts";
import type { Store } from "../store/index.ts";
import { type Call, jsonReply, type Reply, textReply } from "./call.ts";
import { type HealthCheck, healthChecks, healthReply } from "./health.ts";
import type { OpenApi } from "./openapi.ts";
import { pretty } from "./pretty.ts";
import type { RequestMetrics } from "./request-metrics.ts";

const listed = [
  ...["/api", "/api/v1", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz"],
  "/version",
];

/** What the paths tell of. */
interface PathDeps {
  readonly store: Store;
  readonly tokens: TokenIssuer;
  readonly openApi: OpenApi;
  readonly metrics: RequestMetrics;
}

/** Paths beside the API: health, version, OpenAPI, token keys, metrics. */
export class Paths {
  readonly #deps: PathDeps;
  readonly #checks: readonly HealthCheck[];
  /** Whether /readyz says so. */
  ready = false;

  constructor(deps: PathDeps) {
    this.#deps = deps;
    this.#checks = healthChecks({ stored: () => deps.store.failure?.message, ready: () => this.ready });
  }

  /** Answers a path; undefined when it is none of these. */
  async answer(path: string, call: Call): Promise<Reply | undefined> {
    const { store, tokens, openApi } = this.#deps;
    if (path === "/openapi/v2" || path.startsWith("/openapi/v3")) return openApi.answer(path, call);
    if (/^\/(livez|healthz|readyz)(\/|$)/.test(path)) {
      const query = new URLSearchParams(call.url.split("?")[1] ?? "");
      return healthReply(this.#checks, path, query);
    }
    switch (path.replace(/\/$/, "")) {
      case "":
        return jsonReply({ paths: listed });
      case "/version":
        return pretty(jsonReply(serverVersion));
      case "/openid/v1/jwks":
        return jsonReply(tokens.keys.keySet(), 200, {
          "content-type": "application/jwk-set+json",
          "cache-control": "public, max-age=3600",
        });
      case "/.well-known/openid-configuration":
        return jsonReply(issuerOf(tokens), 200, { "cache-control": "public, max-age=3600" });
      case "/metrics":
        return {
          ...textReply(this.#deps.metrics.text(store)),
          headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8; escaping=underscores" },
        };
      default:
        return undefined;
    }
  }
}

/** What says to others how to check the tokens of service accounts (OpenID Connect Discovery). */
function issuerOf(tokens: TokenIssuer): object {
  return {
    issuer: tokens.issuer,
    jwks_uri: tokens.options.jwksUri ?? `${tokens.issuer}/openid/v1/jwks`,
    response_types_supported: ["id_token"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: tokens.keys.algorithms,
  };
}
