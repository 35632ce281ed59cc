import type { Registry } from "../kinds/registry.ts";
import type { Objects, WriteOptions } from "../rest/objects.ts";
import type { Store } from "../store/index.ts";

const storage = "apiservices.apiregistration.k8s.io";
const managed = "kube-aggregator.kubernetes.io/automanaged";

/**
 * Every group and version of definitions has its APIService while it is served (kube-apiserver
 * pkg/controlplane/controller/crdregistration).
 */
export function syncApiServices(
  deps: { readonly store: Store; readonly objects: Objects; readonly registry: Registry },
  write: WriteOptions,
): void {
  const { store, objects, registry } = deps;
  const kind = registry.byKind("apiregistration.k8s.io/v1", "APIService");
  if (!kind) return;
  const wanted = new Map(
    registry.groups
      .filter((g) => g.kinds.length > 0 && g.kinds.every((k) => k.custom))
      .map((g): [string, typeof g] => [`${g.version}.${g.group}`, g]),
  );
  for (const { name, object } of [...store.list(storage)])
    if (object.metadata.labels?.[managed] === "true" && !wanted.has(name)) objects.delete(kind, "", name, {}, false);
  for (const [name, { group, version, priority }] of wanted) {
    if (store.get(storage, name)) continue;
    const spec = { group, version, groupPriorityMinimum: priority, versionPriority: 100 };
    objects.create(kind, "", { metadata: { name, labels: { [managed]: "true" } }, spec }, write);
  }
}
