import { createHash } from "node:crypto";
import { parse } from "yaml";
import { type Pod, PROCESS_ANNOTATION } from "#api/index.ts";

const HASH_ANNOTATION = "kubernetes.io/config.hash";
const SOURCE_ANNOTATION = "kubernetes.io/config.source";

/** A manifest cannot be run. */
export class ManifestError extends Error {}

/** Whether a pod comes from a file of the node. */
export function isStaticPod({ metadata }: Pick<Pod, "metadata">): boolean {
  return metadata.annotations?.[SOURCE_ANNOTATION] === "file" && metadata.uid === metadata.annotations[HASH_ANNOTATION];
}

/**
 * The pod of a manifest as its node runs it (pkg/kubelet/config/common.go): named after the node too, and known by its
 * content, so that a changed file is another pod.
 * @returns undefined for a manifest that names the process which does its work: that runs already
 * @throws ManifestError for a file that is no pod
 */
export function staticPod(text: string, node: string): Pod | undefined {
  let manifest: Partial<Pod> | undefined;
  try {
    manifest = parse(text) as Partial<Pod>;
  } catch (error) {
    throw new ManifestError((error as Error).message);
  }
  const { metadata, spec, kind } = (manifest ?? {}) as Partial<Pod> & { readonly kind?: string };
  if (kind !== "Pod" || !metadata?.name || !spec?.containers?.length)
    throw new ManifestError("wanted a Pod with a name and containers");
  if (metadata.annotations?.[PROCESS_ANNOTATION] !== undefined) return undefined;
  const hash = createHash("md5").update(`${node}\0${text}`).digest("hex");
  return {
    metadata: {
      ...metadata,
      name: `${metadata.name}-${node}`,
      namespace: metadata.namespace ?? "default",
      uid: hash,
      annotations: { ...metadata.annotations, [HASH_ANNOTATION]: hash, [SOURCE_ANNOTATION]: "file" },
    },
    spec: {
      ...spec,
      nodeName: node,
      tolerations: [...(spec.tolerations ?? []), { operator: "Exists", effect: "NoExecute" }],
    },
  };
}
