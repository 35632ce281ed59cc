import {
  type Client,
  type CustomResourceDefinition,
  type KubeObject,
  type Resource,
  resource,
  resources,
} from "#api/index.ts";
import type { ControllerContext } from "../context.ts";
import { conditionOf } from "../objects.ts";

/** The resource that a definition is served as: in the stored version where that is served. Undefined: not at all. */
export function resourceOfDefinition(definition: CustomResourceDefinition): Resource<KubeObject> | undefined {
  const { spec, status } = definition;
  const established = conditionOf(status?.conditions, "Established")?.status === "True";
  const version = spec.versions.find((v) => v.storage && v.served) ?? spec.versions.find((v) => v.served);
  if (!established || !version) return undefined;
  const { plural, kind } = status?.acceptedNames ?? spec.names;
  return resource(spec.group, version.name, plural, kind, spec.scope === "Namespaced");
}

/**
 * Tells of kinds of custom objects as they come and go.
 * @param served is told of a kind, and returns what is called when it is no longer served, or served otherwise
 */
export function followDefinitions(context: ControllerContext, served: (of: Resource<KubeObject>) => () => void): void {
  const known = new Map<string, { readonly as: string; readonly end: () => void }>();
  context.informer(resources.customResourceDefinitions).onChange(({ type, object }) => {
    const { name } = object.metadata;
    const of = type === "DELETED" ? undefined : resourceOfDefinition(object);
    const as = JSON.stringify(of);
    const before = known.get(name);
    if (before && before.as === as) return;
    before?.end();
    known.delete(name);
    if (of) known.set(name, { as, end: served(of) });
  });
}

/** Those of the served kinds that the server has itself: kinds of custom objects come and go. */
export async function withoutCustom(
  client: Client,
  served: readonly Resource<KubeObject>[],
): Promise<{ readonly builtIn: readonly Resource<KubeObject>[]; readonly definitions: boolean }> {
  const { customResourceDefinitions } = resources;
  const definitions = served.some(({ plural, group }) => `${plural}.${group}` === definitionsName);
  if (!definitions) return { builtIn: served, definitions };
  const { items } = await client.list(customResourceDefinitions);
  const custom = new Set(items.map(({ metadata }) => metadata.name));
  return { builtIn: served.filter(({ plural, group }) => !custom.has(`${plural}.${group}`)), definitions };
}

const definitionsName = "customresourcedefinitions.apiextensions.k8s.io";
