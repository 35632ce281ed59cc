import type { PersistentVolumeClaim, Pod } from "#api/index.ts";

/**
 * Why a pod's claims keep it from every node; undefined when all are bound. Texts are those of kube-scheduler's
 * plugin VolumeBinding. @param claimOf the claim of a name in the pod's namespace
 */
export function claimProblem(
  pod: Pod,
  claimOf: (name: string) => PersistentVolumeClaim | undefined,
): string | undefined {
  const names = (pod.spec.volumes ?? []).flatMap(({ persistentVolumeClaim: claim }) =>
    claim ? [claim.claimName] : [],
  );
  for (const name of names) {
    const claim = claimOf(name);
    if (!claim) return `persistentvolumeclaim "${name}" not found`;
    if (claim.metadata.deletionTimestamp !== undefined) return `persistentvolumeclaim "${name}" is being deleted`;
  }
  const bound = names.every((name) => claimOf(name)?.status?.phase === "Bound");
  return bound ? undefined : "pod has unbound immediate PersistentVolumeClaims";
}

/** kube-scheduler's sentence for a problem that all nodes have. */
export function everywhere(problem: string, nodes: number): string {
  const total = `0/${nodes} nodes are available: `;
  return `${total}${problem}. preemption: ${total}${nodes} Preemption is not helpful for scheduling.`;
}
