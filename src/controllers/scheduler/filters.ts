import type { Taint } from "#api/index.ts";
import { breaksCompany, type Company, companyOf } from "./company.ts";
import type { HostPort, NodeView, PodView } from "./nodes.ts";
import { breaksSpread, spreadsOf } from "./spread.ts";
import { isTolerated, matchesNode, type NamespaceLabels } from "./terms.ts";
import { type Claims, claimsOf, reaches, type Storage } from "./volumes.ts";

export { isTolerated, matchesTerm } from "./terms.ts";

/** What may help a pod that was refused. */
export type Help = "node" | "room" | "company" | "storage";

/** Why a node cannot take a pod. `helpless`: no other pod's end would change that. */
export interface Refusal {
  readonly reason: string;
  readonly helpless: boolean;
  readonly help: Help;
}

/** What filters look at: one pod against the cluster, computed once for all nodes. */
export interface Cycle {
  readonly pod: PodView;
  readonly spreads: ReturnType<typeof spreadsOf>;
  readonly company: Company;
  readonly claims: Claims;
}

/** Computes what concerns the whole cluster. */
export function beginCycle(
  pod: PodView,
  all: readonly NodeView[],
  namespaceLabels: NamespaceLabels,
  storage: Storage,
): Cycle {
  return {
    pod,
    spreads: spreadsOf(pod, all),
    company: companyOf(pod, all, namespaceLabels),
    claims: claimsOf(pod.pod, storage),
  };
}

type Filter = (cycle: Cycle, node: NodeView) => readonly Refusal[];

const helpless = (reason: string, help: Help = "node"): Refusal[] => [{ reason, helpless: true, help }];
const solvable = (reason: string, help: Help = "room"): Refusal[] => [{ reason, helpless: false, help }];

/** The reasons of the first filter that refuses, none when the node fits. Texts and order are kube-scheduler's. */
export function refusals(cycle: Cycle, node: NodeView): readonly Refusal[] {
  for (const filter of filters) {
    const found = filter(cycle, node);
    if (found.length > 0) return found;
  }
  return [];
}

const unschedulable: Filter = ({ pod }, { node }) => {
  if (!node.spec?.unschedulable) return [];
  const taint: Taint = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" };
  return isTolerated(taint, pod.pod.spec.tolerations) ? [] : helpless("node(s) were unschedulable");
};

const taints: Filter = ({ pod }, node) => {
  const { tolerations } = pod.pod.spec;
  const against = node.taints.some((one) => one.effect !== "PreferNoSchedule" && !isTolerated(one, tolerations));
  return against ? helpless("node(s) had untolerated taint(s)") : [];
};

const nodeAffinity: Filter = ({ pod }, node) =>
  matchesNode(pod.pod, node) ? [] : helpless("node(s) didn't match Pod's node affinity/selector");

const hostPorts: Filter = ({ pod }, node) => {
  if (pod.hostPorts.length === 0) return [];
  const clash = node.pods.some((other) =>
    other.hostPorts.some((taken) => pod.hostPorts.some((one) => clashes(one, taken))),
  );
  return clash ? solvable("node(s) didn't have free ports for the requested pod ports") : [];
};

function clashes(a: HostPort, b: HostPort): boolean {
  const [anyA, anyB] = [a, b].map(({ ip }) => ip === "0.0.0.0" || ip === "::");
  return a.port === b.port && a.protocol === b.protocol && (a.ip === b.ip || anyA === true || anyB === true);
}

const fit: Filter = ({ pod }, node) => {
  const found: Refusal[] = [];
  // A node that does not say how many pods it takes takes any number.
  const { pods: room = Number.POSITIVE_INFINITY } = node.allocatable;
  if ((node.pods.length + 1) * 1000 > room) found.push({ reason: "Too many pods", helpless: false, help: "room" });
  for (const [resource, amount] of Object.entries(pod.requests)) {
    const capacity = node.allocatable[resource] ?? 0;
    if (amount === 0 || amount <= capacity - (node.requested[resource] ?? 0)) continue;
    found.push({ reason: `Insufficient ${resource}`, helpless: amount > capacity, help: "room" });
  }
  return found;
};

const volumes: Filter = ({ claims }, node) => {
  if (!reaches(claims, node)) return helpless("node(s) didn't match PersistentVolume's node affinity");
  return claims.late ? helpless("node(s) didn't find available persistent volumes to bind", "storage") : [];
};

const spread: Filter = ({ spreads }, node) => {
  const text = "node(s) didn't match pod topology spread constraints";
  const broken = breaksSpread(spreads, node);
  if (broken === "missing") return helpless(`${text} (missing required label)`);
  return broken === "skewed" ? solvable(text, "company") : [];
};

const company: Filter = (cycle, node) => {
  switch (breaksCompany(cycle.company, cycle.pod, node)) {
    case "affinity":
      return helpless("node(s) didn't match pod affinity rules", "company");
    case "anti-affinity":
      return solvable("node(s) didn't match pod anti-affinity rules", "company");
    case "existing":
      return solvable("node(s) didn't satisfy existing pods anti-affinity rules", "company");
    default:
      return [];
  }
};

/** In the order in which kube-scheduler's default plugins run. */
const filters: readonly Filter[] = [unschedulable, taints, nodeAffinity, hostPorts, fit, volumes, spread, company];
