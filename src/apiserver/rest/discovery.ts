import { createHash } from "node:crypto";
import type { Kind, SubresourceInfo } from "../kinds/definition.ts";
import { apiVersionOf, type GroupVersion, type Registry } from "../kinds/registry.ts";
import type { Review } from "../kinds/reviews.ts";
import { mediaRanges } from "./accept.ts";
import { type Call, jsonReply, type Reply } from "./call.ts";

/** Versions of the aggregated form; the older one differs in its name only. */
const aggregatedVersions = ["v2", "v2beta1"];
const statusVerbs = ["get", "patch", "update"];

/** Discovery: `/api`, `/apis` (legacy and aggregated) and the resource lists of each group and version. */
export class Discovery {
  readonly #registry: Registry;
  readonly #cache = new Map<string, { body: string; etag: string }>();
  /** The registry's revision that the cache is of. */
  #revision = 0;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** Answers a discovery path; undefined for other paths. */
  answer(path: string, call: Call): Reply | undefined {
    const clean = path.replace(/\/$/, "");
    if (clean === "/api" || clean === "/apis") {
      const version = aggregatedVersion(call.headers.accept);
      const type = version
        ? `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`
        : "application/json";
      return this.#cached(`${clean} ${version}`, call, type, () => {
        if (version) return this.#aggregated(clean === "/api", version);
        return clean === "/api" ? coreVersions() : this.#groupList();
      });
    }
    const match = /^\/(?:api|apis\/([^/]+))(?:\/([^/]+))?$/.exec(clean);
    if (!match) return undefined;
    const versions = this.#registry.groups.filter((g) => g.group === (match[1] ?? ""));
    const version = match[2] === undefined ? undefined : versions.find((g) => g.version === match[2]);
    if (versions.length === 0 || (match[2] !== undefined && !version)) return undefined;
    return this.#cached(clean, call, "application/json", () =>
      version ? resourceList(version) : { kind: "APIGroup", apiVersion: "v1", ...groupInfo(versions) },
    );
  }

  #cached(key: string, call: Call, type: string, make: () => object): Reply {
    if (this.#revision !== this.#registry.revision) {
      this.#cache.clear();
      this.#revision = this.#registry.revision;
    }
    let cached = this.#cache.get(key);
    if (!cached) {
      const body = JSON.stringify(make());
      cached = { body, etag: `"${createHash("sha256").update(body).digest("hex").slice(0, 32).toUpperCase()}"` };
      this.#cache.set(key, cached);
    }
    const headers = { etag: cached.etag, vary: "Accept", "cache-control": "public" };
    if (call.headers["if-none-match"] === cached.etag) return { status: 304, headers, body: "" };
    return jsonReply(cached.body, 200, { ...headers, "content-type": type });
  }

  #groupList(): object {
    return { kind: "APIGroupList", apiVersion: "v1", groups: this.#byGroup(false).map(groupInfo) };
  }

  /** The core group, or all others, each with its versions. */
  #byGroup(core: boolean): GroupVersion[][] {
    const groups = new Map<string, GroupVersion[]>();
    for (const g of this.#registry.groups.filter((entry) => (entry.group === "") === core))
      groups.set(g.group, [...(groups.get(g.group) ?? []), g]);
    return [...groups.values()];
  }

  #aggregated(core: boolean, apiVersion: string): object {
    return {
      kind: "APIGroupDiscoveryList",
      apiVersion: `apidiscovery.k8s.io/${apiVersion}`,
      metadata: {},
      items: this.#byGroup(core).map((versions) => ({
        metadata: { ...(core ? {} : { name: versions[0]?.group }), creationTimestamp: null },
        versions: versions.map((g) => ({
          version: g.version,
          freshness: "Current",
          resources: [...g.kinds.map(aggregatedKind), ...g.reviews.map(aggregatedReview)],
        })),
      })),
    };
  }
}

/** Version of the aggregated form that comes first among what the client accepts; undefined: the legacy form. */
function aggregatedVersion(accept: string | undefined): string | undefined {
  for (const { type, parameters } of mediaRanges(accept)) {
    if (type !== "application/json" && !type.endsWith("/*")) continue;
    const as = parameters.get("as");
    if (as === undefined) return undefined;
    const version = parameters.get("v") ?? "";
    if (as === "APIGroupDiscoveryList" && aggregatedVersions.includes(version)) return version;
  }
  return undefined;
}

function coreVersions(): object {
  return { kind: "APIVersions", versions: ["v1"], serverAddressByClientCIDRs: [] };
}

function groupInfo(group: readonly GroupVersion[]): object {
  const versions = group.map((g) => ({ groupVersion: apiVersionOf(g), version: g.version }));
  return { name: group[0]?.group, versions, preferredVersion: versions[0] };
}

function resourceList(g: GroupVersion): object {
  const resources = [...g.kinds.flatMap(legacyKind), ...g.reviews.map(legacyReview)];
  return { kind: "APIResourceList", apiVersion: "v1", groupVersion: apiVersionOf(g), resources };
}

function subresources(kind: Kind): [string, SubresourceInfo][] {
  const status: [string, SubresourceInfo][] = kind.status ? [["status", { kind: kind.kind, verbs: statusVerbs }]] : [];
  return [...Object.entries(kind.subresources), ...status].sort(([a], [b]) => (a < b ? -1 : 1));
}

function legacyKind(kind: Kind): object[] {
  const main = {
    name: kind.plural,
    singularName: kind.singular,
    namespaced: kind.namespaced,
    kind: kind.kind,
    verbs: kind.verbs,
    ...(kind.shortNames.length ? { shortNames: kind.shortNames } : {}),
    ...(kind.categories.length ? { categories: kind.categories } : {}),
  };
  const below = subresources(kind).map(([name, info]) => ({
    name: `${kind.plural}/${name}`,
    singularName: "",
    namespaced: kind.namespaced,
    ...(info.version ? { group: info.group ?? "", version: info.version } : {}),
    kind: info.kind,
    verbs: info.verbs,
  }));
  return [main, ...below];
}

function legacyReview(review: Review): object {
  return {
    name: review.plural,
    singularName: review.singular,
    namespaced: review.namespaced,
    kind: review.kind,
    verbs: ["create"],
  };
}

function aggregatedKind(kind: Kind): object {
  const gvk = { group: kind.group, version: kind.version, kind: kind.kind };
  const below = subresources(kind).map(([name, info]) => ({
    subresource: name,
    responseKind: { group: info.group ?? kind.group, version: info.version ?? kind.version, kind: info.kind },
    verbs: info.verbs,
  }));
  return {
    resource: kind.plural,
    responseKind: gvk,
    scope: kind.namespaced ? "Namespaced" : "Cluster",
    singularResource: kind.singular,
    verbs: kind.verbs,
    ...(kind.shortNames.length ? { shortNames: kind.shortNames } : {}),
    ...(kind.categories.length ? { categories: kind.categories } : {}),
    ...(below.length ? { subresources: below } : {}),
  };
}

function aggregatedReview(review: Review): object {
  return {
    resource: review.plural,
    responseKind: { group: review.group, version: review.version, kind: review.kind },
    scope: review.namespaced ? "Namespaced" : "Cluster",
    singularResource: review.singular,
    verbs: ["create"],
  };
}
