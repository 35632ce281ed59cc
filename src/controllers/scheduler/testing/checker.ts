import type { LabelSelector, Node, Pod, PodAffinityTerm, Taint } from "#api/index.ts";

/**
 * Whether a node may take a pod, written from the documentation for tests, as directly and as slowly as can be: it
 * shares nothing with the scheduler. CPU in whole cores, memory not looked at.
 * @param pods all pods that have a node
 */
export function mayGo(pod: Pod, node: Node, nodes: readonly Node[], pods: readonly Pod[]): boolean {
  return (
    toleratesAll(pod, node) &&
    isSelected(pod, node) &&
    hasRoom(pod, node, pods) &&
    portsAreFree(pod, node, pods) &&
    staysSpread(pod, node, nodes, pods) &&
    isAmongFriends(pod, node, nodes, pods)
  );
}

/** Cores that pods on a node ask for, and how many it has. */
export function coresOf(node: Node, pods: readonly Pod[]): { asked: number; there: number } {
  const asked = podsOn(node, pods).reduce((sum, pod) => sum + cores(pod), 0);
  return { asked, there: Number(node.status?.allocatable?.["cpu"] ?? 0) };
}

const podsOn = (node: Node, pods: readonly Pod[]) => pods.filter((pod) => pod.spec.nodeName === node.metadata.name);

function cores(pod: Pod): number {
  return pod.spec.containers.reduce((sum, { resources }) => sum + Number(resources?.requests?.["cpu"] ?? 0), 0);
}

function tolerates(pod: Pod, taint: Taint): boolean {
  for (const { key, operator, value, effect } of pod.spec.tolerations ?? []) {
    if (effect && effect !== taint.effect) continue;
    if (operator === "Exists" && (!key || key === taint.key)) return true;
    if (operator !== "Exists" && key === taint.key && (value ?? "") === (taint.value ?? "")) return true;
  }
  return false;
}

function toleratesAll(pod: Pod, node: Node): boolean {
  if (node.spec?.unschedulable && !tolerates(pod, { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" }))
    return false;
  for (const taint of node.spec?.taints ?? [])
    if (taint.effect !== "PreferNoSchedule" && !tolerates(pod, taint)) return false;
  return true;
}

function isSelected(pod: Pod, node: Node): boolean {
  const labels = node.metadata.labels ?? {};
  for (const [key, value] of Object.entries(pod.spec.nodeSelector ?? {})) if (labels[key] !== value) return false;
  const required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  if (!required) return true;
  return required.nodeSelectorTerms.some(({ matchExpressions = [] }) =>
    matchExpressions.every(({ key, operator, values = [] }) => holds(labels[key], operator, values)),
  );
}

function holds(value: string | undefined, operator: string, values: readonly string[]): boolean {
  if (operator === "Exists") return value !== undefined;
  if (operator === "DoesNotExist") return value === undefined;
  if (operator === "NotIn") return value === undefined || !values.includes(value);
  if (value === undefined) return false;
  if (operator === "In") return values.includes(value);
  return operator === "Gt" ? Number(value) > Number(values[0]) : Number(value) < Number(values[0]);
}

function hasRoom(pod: Pod, node: Node, pods: readonly Pod[]): boolean {
  const { asked, there } = coresOf(node, pods);
  const full = podsOn(node, pods).length + 1 > Number(node.status?.allocatable?.["pods"] ?? 0);
  return !full && (cores(pod) === 0 || asked + cores(pod) <= there);
}

function portsAreFree(pod: Pod, node: Node, pods: readonly Pod[]): boolean {
  const ports = (one: Pod) => one.spec.containers.flatMap((container) => container.ports?.map((p) => p.hostPort) ?? []);
  const taken = podsOn(node, pods).flatMap(ports);
  return ports(pod).every((port) => !port || !taken.includes(port));
}

function isPicked(selector: LabelSelector | undefined, pod: Pod): boolean {
  if (!selector) return false;
  const labels = pod.metadata.labels ?? {};
  return Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value);
}

function staysSpread(pod: Pod, node: Node, nodes: readonly Node[], pods: readonly Pod[]): boolean {
  const constraints = (pod.spec.topologySpreadConstraints ?? []).filter(
    ({ whenUnsatisfiable }) => whenUnsatisfiable === "DoNotSchedule",
  );
  const hasAll = (one: Node) => constraints.every(({ topologyKey }) => one.metadata.labels?.[topologyKey]);
  return constraints.every((constraint) => {
    const { topologyKey: key, maxSkew, minDomains = 1, labelSelector, nodeTaintsPolicy } = constraint;
    const own = node.metadata.labels?.[key];
    if (own === undefined) return false;
    const countable = nodes.filter(
      (one) => hasAll(one) && isSelected(pod, one) && (nodeTaintsPolicy !== "Honor" || toleratesTaints(pod, one)),
    );
    const domains = [...new Set(countable.map((one) => one.metadata.labels?.[key]))];
    const size = (domain: string | undefined) =>
      countable
        .filter((one) => one.metadata.labels?.[key] === domain)
        .flatMap((one) => podsOn(one, pods))
        .filter((one) => one.metadata.namespace === pod.metadata.namespace && isPicked(labelSelector, one)).length;
    const least = domains.length < minDomains || domains.length === 0 ? 0 : Math.min(...domains.map(size));
    return size(own) + (isPicked(labelSelector, pod) ? 1 : 0) - least <= maxSkew;
  });
}

function toleratesTaints(pod: Pod, node: Node): boolean {
  return (node.spec?.taints ?? []).every((taint) => taint.effect === "PreferNoSchedule" || tolerates(pod, taint));
}

function means(term: PodAffinityTerm, owner: Pod, other: Pod): boolean {
  const namespaces = term.namespaces ?? [owner.metadata.namespace ?? ""];
  return namespaces.includes(other.metadata.namespace ?? "") && isPicked(term.labelSelector, other);
}

function isAmongFriends(pod: Pod, node: Node, nodes: readonly Node[], pods: readonly Pod[]): boolean {
  const homeOf = (one: Pod) => nodes.find(({ metadata }) => metadata.name === one.spec.nodeName);
  const together = (one: Pod, key: string) => {
    const domain = node.metadata.labels?.[key];
    return domain !== undefined && homeOf(one)?.metadata.labels?.[key] === domain;
  };
  const required = (one: Pod, kind: "podAffinity" | "podAntiAffinity") =>
    one.spec.affinity?.[kind]?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  const near = required(pod, "podAffinity");
  const friends = pods.filter((one) => near.every((term) => means(term, pod, one)));
  const withDomain = friends.filter((one) =>
    near.some(({ topologyKey }) => homeOf(one)?.metadata.labels?.[topologyKey]),
  );
  const first = withDomain.length === 0 && near.every((term) => means(term, pod, pod));
  for (const term of near) {
    if (node.metadata.labels?.[term.topologyKey] === undefined) return false;
    if (!first && !friends.some((one) => together(one, term.topologyKey))) return false;
  }
  for (const term of required(pod, "podAntiAffinity"))
    if (pods.some((one) => means(term, pod, one) && together(one, term.topologyKey))) return false;
  return !pods.some((one) =>
    required(one, "podAntiAffinity").some((term) => means(term, one, pod) && together(one, term.topologyKey)),
  );
}
