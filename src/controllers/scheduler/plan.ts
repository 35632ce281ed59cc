import type { LabelSelector, Pod } from "#api/index.ts";
import { explain } from "./explain.ts";
import { beginCycle, type Help, type Refusal, refusals } from "./filters.ts";
import { type NodeView, type PodView, viewPod } from "./nodes.ts";
import { best } from "./scores.ts";
import { type NamespaceLabels, namedNodes } from "./terms.ts";
import { noStorage, type Storage } from "./volumes.ts";

/** Where a pod goes, or why it cannot go anywhere and what may change that. */
export type Decision =
  | { readonly node: string; readonly message?: undefined }
  | { readonly node?: undefined; readonly message: string; readonly help: ReadonlySet<Help> };

/** What is known beside pod and nodes; all of it may be left out. */
export interface Surroundings {
  readonly namespaceLabels?: NamespaceLabels;
  /** Selects the pods of the same Service or controller. */
  readonly siblings?: LabelSelector | undefined;
  readonly storage?: Storage;
}

/** A pod against a cluster. */
export interface Case {
  readonly pod: PodView;
  readonly all: readonly NodeView[];
  readonly namespaceLabels: NamespaceLabels;
  readonly storage: Storage;
}

/** The best node for a pod. Equal input gives an equal answer, whatever the order of nodes. */
export function schedule(pod: Pod | PodView, views: readonly NodeView[], around: Surroundings = {}): Decision {
  if (views.length === 0) return { message: "no nodes available to schedule pods", help: new Set(["node"]) };
  const view = "pod" in pod ? pod : viewPod(pod);
  const { namespaceLabels = () => ({}), storage = noStorage } = around;
  const one: Case = { pod: view, all: views, namespaceLabels, storage };
  const cycle = beginCycle(view, views, namespaceLabels, storage);
  const named = namedNodes(view.pod);
  const general = named?.size === 0 ? "pod affinity terms conflict" : cycle.claims.problem;
  if (general !== undefined) return { message: explain(one, { general }), help: new Set(["node", "storage"]) };
  const fitting: NodeView[] = [];
  const refused = new Map<NodeView, readonly Refusal[]>();
  let passedOver = 0;
  for (const node of views) {
    if (named && !named.has(node.name)) {
      passedOver++;
      continue;
    }
    const reasons = refusals(cycle, node);
    if (reasons.length === 0) fitting.push(node);
    else refused.set(node, reasons);
  }
  const choice = best(view, fitting, { all: views, namespaceLabels, siblings: around.siblings });
  if (choice) return { node: choice.name };
  const help = new Set([...refused.values()].flatMap((reasons) => reasons.map((reason) => reason.help)));
  return { message: explain(one, { refused, passedOver }), help: help.add("node") };
}
