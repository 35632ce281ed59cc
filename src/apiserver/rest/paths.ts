import type { TokenIssuer } from "../auth/tokens.ts";
import { serverVersion } from "../options.ts";
import type { Store } from "../store/index.ts";
import { type Call, jsonReply, type Reply, textReply } from "./call.ts";
import type { OpenApi } from "./openapi.ts";
import { pretty } from "./pretty.ts";

const checks = ["ping", "log", "etcd", "informer-sync", "poststarthook/rbac/bootstrap-roles"];

/** Paths beside the API: health, version, OpenAPI, token keys, metrics. */
export class Paths {
  readonly #deps: { readonly store: Store; readonly tokens: TokenIssuer; readonly openApi: OpenApi };
  /** Whether /readyz says so. */
  ready = false;

  constructor(deps: { readonly store: Store; readonly tokens: TokenIssuer; readonly openApi: OpenApi }) {
    this.#deps = deps;
  }

  /** Answers a path; undefined when it is none of these. */
  async answer(path: string, call: Call): Promise<Reply | undefined> {
    const { store, tokens, openApi } = this.#deps;
    if (path === "/openapi/v2" || path.startsWith("/openapi/v3")) return openApi.answer(path, call);
    const [, first = "", ...rest] = path.split("/");
    if (first === "livez" || first === "healthz" || first === "readyz")
      return this.#health(first, rest.join("/"), call);
    switch (path.replace(/\/$/, "")) {
      case "":
        return jsonReply({
          paths: [
            "/api",
            "/api/v1",
            "/apis",
            "/healthz",
            "/livez",
            "/metrics",
            "/openapi/v2",
            "/openapi/v3",
            "/readyz",
            "/version",
          ],
        });
      case "/version":
        return pretty(jsonReply(serverVersion));
      case "/openid/v1/jwks":
        return jsonReply(tokens.keys.keySet(), 200, {
          "content-type": "application/jwk-set+json",
          "cache-control": "public, max-age=3600",
        });
      case "/.well-known/openid-configuration":
        return jsonReply(
          {
            issuer: tokens.issuer,
            jwks_uri: tokens.options.jwksUri ?? `${tokens.issuer}/openid/v1/jwks`,
            response_types_supported: ["id_token"],
            subject_types_supported: ["public"],
            id_token_signing_alg_values_supported: tokens.keys.algorithms,
          },
          200,
          { "cache-control": "public, max-age=3600" },
        );
      case "/metrics":
        return textReply(
          `# HELP podwire_store_revision Number of the last write.\n# TYPE podwire_store_revision counter\npodwire_store_revision ${store.revision}\n# HELP process_resident_memory_bytes Resident memory size in bytes.\n# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes ${process.memoryUsage.rss()}\n`,
        );
      default:
        return undefined;
    }
  }

  #health(name: string, check: string, call: Call): Reply | undefined {
    const ok = name !== "readyz" || this.ready;
    if (check !== "" && !checks.includes(check)) return undefined;
    const verbose = /[?&]verbose/.test(call.url);
    if (!verbose || check !== "") return textReply(ok ? "ok" : "not ready", ok ? 200 : 503);
    const lines = checks.map((c) => `[+]${c} ok`);
    return textReply(`${lines.join("\n")}\n${name} check ${ok ? "passed" : "failed"}\n`, ok ? 200 : 503);
  }
}
