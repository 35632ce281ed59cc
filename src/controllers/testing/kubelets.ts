import { type Client, type Pod, resources } from "#api/index.ts";

/** How a pod that has a node is. */
export type PodState = "pending" | "ready" | "unready" | "Succeeded" | "Failed";

/**
 * Plays the kubelets of all nodes: runs what has a node, ends what is being deleted.
 * @param state decides how a running pod is
 * @returns ends the play
 */
export function playKubelets(client: Client, state: (pod: Pod) => PodState): () => void {
  const timer = setInterval(() => void playAll(client, state), 4);
  return () => clearInterval(timer);
}

async function playAll(client: Client, state: (pod: Pod) => PodState): Promise<void> {
  const { items } = await client.list<Pod>(resources.pods).catch(() => ({ items: [] as Pod[] }));
  await Promise.all(items.map((pod, n) => playPod(client, pod, n, state).catch(() => {})));
}

async function playPod(client: Client, pod: Pod, n: number, stateOf: (pod: Pod) => PodState): Promise<void> {
  const { name, namespace = "default" } = pod.metadata;
  if (!pod.spec.nodeName) return;
  if (pod.metadata.deletionTimestamp) {
    await client.delete(resources.pods, name, namespace, { gracePeriodSeconds: 0 });
    return;
  }
  const state = stateOf(pod);
  const phase = state === "ready" || state === "unready" ? "Running" : state;
  const ready = state === "ready" ? "True" : "False";
  if (state === "pending" || pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed") return;
  const present = pod.status?.conditions?.find(({ type }) => type === "Ready")?.status;
  if (pod.status?.phase === phase && present === ready) return;
  await report(client, pod, `10.244.1.${n + 2}`, { phase, ready });
}

/** Writes a pod's status as a kubelet does. */
export async function report(
  client: Client,
  { metadata: { name, namespace = "default" }, status }: Pick<Pod, "metadata" | "status">,
  podIP: string,
  { phase, ready }: { phase: string; ready: string },
): Promise<void> {
  const others = (status?.conditions ?? []).filter(({ type }) => type !== "Ready");
  const conditions = [...others, { type: "Ready", status: ready, lastTransitionTime: new Date().toISOString() }];
  const patch = { status: { phase, podIP, podIPs: [{ ip: podIP }], conditions } };
  await client.patch(resources.pods, name, namespace, patch, { type: "merge", subresource: "status" });
}
