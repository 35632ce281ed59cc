import { createHash } from "node:crypto";
import { brotliDecompressSync } from "node:zlib";
import { kubernetesVersion } from "#api/index.ts";
import type { Kind } from "../kinds/definition.ts";
import type { GroupVersion, Registry } from "../kinds/registry.ts";
import type { Dict } from "../object.ts";
import type { Schema } from "../schema/schema.ts";
import { structure } from "../schema/structure.ts";
import { type Call, jsonReply, type Reply } from "./call.ts";
import { kindPaths, operation } from "./openapi-paths.ts";
import { type Descriptions, SchemaBuilder } from "./openapi-schemas.ts";
import { swagger, swaggerMessage, swaggerMessageType } from "./swagger.ts";

/**
 * OpenAPI v2 whole, and v3: an index, and one document per group and version, made when asked for. They hold what
 * kubectl reads:
 * schemas with merge keys and descriptions, and operations with their kind, patch types and fieldValidation.
 */
export class OpenApi {
  readonly #registry: Registry;
  readonly #schema: Schema;
  readonly #hash: string;
  readonly #kindHashes = new WeakMap<Kind, string>();

  constructor(registry: Registry, schema: Schema, version: string) {
    this.#registry = registry;
    this.#schema = schema;
    this.#hash = createHash("sha256").update(structure).update(version).digest("hex").slice(0, 32).toUpperCase();
  }

  /** Answers /openapi/v2 and paths below /openapi/v3. */
  async answer(path: string, call: Call): Promise<Reply | undefined> {
    if (path === "/openapi/v2") return this.#swagger(call);
    if (path === "/openapi/v3" || path === "/openapi/v3/") return jsonReply({ paths: this.#index() });
    const match = /^\/openapi\/v3\/(?:api|apis\/([^/]+))\/([^/]+)\/?$/.exec(path);
    const group = this.#registry.groups.find((g) => match && g.group === (match[1] ?? "") && g.version === match[2]);
    if (!group) return undefined;
    const hash = this.#hashOf(group);
    // Only an address with the hash names this very document for ever; one with an old hash leads to the new one.
    const asked = new URLSearchParams(call.url.split("?")[1] ?? "").get("hash");
    if (asked && asked !== hash) return { status: 301, headers: { location: `${path}?hash=${hash}` }, body: "" };
    const headers = {
      etag: `"${hash}"`,
      vary: "Accept",
      ...(asked
        ? {
            "cache-control": "public, immutable",
            expires: new Date(Date.now() + 31_536_000_000).toUTCString(),
          }
        : {}),
    };
    if (call.headers["if-none-match"] === `"${hash}"`) return { status: 304, headers, body: "" };
    return jsonReply(await this.#document(group), 200, headers);
  }

  #index(): Dict {
    const paths: Dict = {};
    for (const g of this.#registry.groups) {
      const path = g.group ? `apis/${g.group}/${g.version}` : `api/${g.version}`;
      paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${this.#hashOf(g)}` };
    }
    return paths;
  }

  /** What changes with the content of a group's document. */
  #hashOf(group: GroupVersion): string {
    const custom = group.kinds.filter((kind) => kind.custom);
    if (custom.length === 0) return this.#hash;
    const hash = createHash("sha256").update(this.#hash);
    for (const kind of custom) hash.update(this.#hashOfKind(kind));
    return hash.digest("hex").slice(0, 32).toUpperCase();
  }

  #hashOfKind(kind: Kind): string {
    let hash = this.#kindHashes.get(kind);
    if (!hash) {
      hash = createHash("sha256").update(kind.type).update(JSON.stringify(kind.custom?.schema)).digest("hex");
      this.#kindHashes.set(kind, hash);
    }
    return hash;
  }

  async #document(group: GroupVersion): Promise<object> {
    const builder = await this.#builder();
    return {
      openapi: "3.0.0",
      info: { title: "Kubernetes", version: kubernetesVersion },
      paths: addGroup(builder, group),
      components: { schemas: builder.schemas },
    };
  }

  /** The whole as Swagger 2.0: gnostic's message for who asks for it, JSON for others. */
  async #swagger(call: Call): Promise<Reply> {
    const hash = createHash("sha256");
    for (const group of this.#registry.groups) hash.update(this.#hashOf(group));
    const headers = { etag: `"${hash.digest("hex").slice(0, 32).toUpperCase()}"`, vary: "Accept" };
    if (call.headers["if-none-match"] === headers.etag) return { status: 304, headers, body: "" };
    const builder = await this.#builder();
    for (const group of this.#registry.groups) addGroup(builder, group);
    const document = swagger(builder.schemas);
    if (!call.headers["accept"]?.includes("proto-openapi.spec.v2")) return jsonReply(document, 200, headers);
    return { status: 200, headers: { ...headers, "content-type": swaggerMessageType }, body: swaggerMessage(document) };
  }

  async #builder(): Promise<SchemaBuilder> {
    // The descriptions are big and seldom asked for: they are unpacked for one answer and dropped again.
    const { descriptions: packed } = await import("../schema/descriptions.ts");
    const text = brotliDecompressSync(Buffer.from(packed, "base64")).toString("utf8");
    return new SchemaBuilder(this.#schema, JSON.parse(text) as Descriptions);
  }
}

/** Adds the schemas of a group's kinds; returns their paths. */
function addGroup(builder: SchemaBuilder, group: GroupVersion): Dict {
  const paths: Dict = {};
  for (const kind of group.kinds) {
    builder.add(kind.type, kind);
    builder.addList(kind);
    Object.assign(paths, kindPaths(kind));
  }
  for (const review of group.reviews) {
    builder.add(review.type, review);
    const base = `/apis/${review.group}/${review.version}`;
    paths[`${base}/${review.namespaced ? "namespaces/{namespace}/" : ""}${review.plural}`] = {
      post: operation("post", review, review.type),
    };
  }
  builder.add("meta.v1.DeleteOptions");
  return paths;
}
