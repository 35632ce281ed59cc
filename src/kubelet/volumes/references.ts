import type { Pod } from "#api/index.ts";

/** A ConfigMap or Secret that a pod's volumes show. */
export interface VolumeReference {
  readonly kind: "configMaps" | "secrets";
  readonly name: string;
}

/** Written once per namespace, and never changed while a cluster lives. */
const CONSTANT = "kube-root-ca.crt";

/** What a pod's volumes show that may change while it runs. */
export function volumeReferences(pod: Pod): VolumeReference[] {
  const found = new Map<string, VolumeReference>();
  const add = (kind: VolumeReference["kind"], name: string | undefined) => {
    if (name !== undefined && name !== CONSTANT) found.set(`${kind}/${name}`, { kind, name });
  };
  for (const volume of pod.spec.volumes ?? []) {
    add("configMaps", volume.configMap?.name);
    add("secrets", volume.secret?.secretName);
    for (const source of volume.projected?.sources ?? []) {
      add("configMaps", source.configMap?.name);
      add("secrets", source.secret?.name);
    }
  }
  return [...found.values()];
}
