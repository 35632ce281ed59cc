import type { CustomRules, Kind } from "../kinds/definition.ts";
import { apiVersionOf } from "../kinds/registry.ts";
import type { Dict } from "../object.ts";
import { type Gvk, gvkOf, ref } from "./openapi-schemas.ts";

const query = (name: string) => ({ name, in: "query", schema: { type: "string", uniqueItems: true } });
const bodyTypes = ["application/json", "application/yaml"];
const patchBodies = [
  "application/apply-patch+yaml",
  "application/json-patch+json",
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
];

/** An operation, with what kubectl reads of it: kind, patch types, fieldValidation. */
export function operation(
  action: string,
  kind: Gvk & { readonly custom?: CustomRules | undefined },
  type: string,
): Dict {
  const writing = action !== "get" && action !== "list";
  const content = (types: readonly string[], schema: Dict) => Object.fromEntries(types.map((t) => [t, { schema }]));
  const body = action === "patch" ? content(bodiesOf(kind), { type: "object" }) : content(bodyTypes, ref(type));
  return {
    parameters: writing
      ? ["dryRun", "fieldManager", "fieldValidation", ...(action === "patch" ? ["force"] : [])].map(query)
      : [],
    ...(writing && action !== "delete" ? { requestBody: { content: body } } : {}),
    responses: { 200: { description: "OK", content: content(bodyTypes, ref(type)) } },
    "x-kubernetes-action": action,
    "x-kubernetes-group-version-kind": gvkOf(kind),
  };
}

/** What a patch may be; custom objects do not merge strategically. */
function bodiesOf(kind: { readonly custom?: CustomRules | undefined }): readonly string[] {
  return kind.custom ? patchBodies.filter((type) => !type.includes("strategic")) : patchBodies;
}

/** The paths of a kind and their operations. */
export function kindPaths(kind: Kind): Dict {
  const root = kind.group ? `/apis/${apiVersionOf(kind)}` : `/api/${kind.version}`;
  const collection = `${root}/${kind.namespaced ? "namespaces/{namespace}/" : ""}${kind.plural}`;
  const paths: Dict = {
    [collection]: { get: operation("list", kind, `${kind.type}List`), post: operation("post", kind, kind.type) },
    [`${collection}/{name}`]: Object.fromEntries(
      ["get", "put", "patch", "delete"].map((a) => [a, operation(a, kind, kind.type)]),
    ),
  };
  if (kind.status)
    paths[`${collection}/{name}/status`] = Object.fromEntries(
      ["get", "put", "patch"].map((a) => [a, operation(a, kind, kind.type)]),
    );
  return paths;
}
