import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { methodNotAllowed, noSuchPath, notFound } from "../errors.ts";
import type { MetricsUsage, NodeMetrics, PodMetrics } from "../kinds/metrics.ts";
import type { StoredObject } from "../object.ts";
import type { Store } from "../store/index.ts";
import { acceptedForm } from "./accept.ts";
import { jsonReply, type Reply } from "./call.ts";
import type { KindCall } from "./handler.ts";
import { includeObject } from "./list.ts";
import { type Selection, selectionOf } from "./select.ts";
import { columnsJson, partialMetadata, rowJson, tableJson } from "./table.ts";

/** Asks the agent of a node. Rejects when it does not answer. */
export type NodeAsker = (node: string, path: string, timeoutMs: number) => Promise<string>;

/** A node that does not answer in this time has no metrics, in ms. */
const PATIENCE_MS = 5000;

/** The parts of `/stats/summary` that are used (k8s.io/kubelet/pkg/apis/stats/v1alpha1). */
interface Figures {
  readonly cpu: { readonly time: string; readonly usageNanoCores: number };
  readonly memory: { readonly workingSetBytes: number };
}

interface Summary {
  readonly node: Figures;
  readonly pods: readonly {
    readonly podRef: { readonly name: string; readonly namespace: string; readonly uid: string };
    readonly containers: readonly (Figures & { readonly name: string })[];
  }[];
  /** How long the figures were measured, in ms. */
  readonly podwireWindowMilliseconds?: number;
}

/**
 * metrics.k8s.io, which in other clusters metrics-server serves: what nodes and pods use, asked of the node agents when
 * somebody wants to know it.
 */
export class ResourceMetrics {
  readonly #deps: { readonly store: Store; readonly ask: NodeAsker; readonly log: Logger };

  constructor(deps: { readonly store: Store; readonly ask: NodeAsker; readonly log: Logger }) {
    this.#deps = deps;
  }

  /** Answers GET of NodeMetrics and PodMetrics. Throws StatusError 404, 405. */
  async answer(request: KindCall): Promise<Reply> {
    const { kind, info } = request;
    if (info.subresource) throw noSuchPath();
    if (info.verb !== "get" && info.verb !== "list") throw methodNotAllowed();
    const selection = selectionOf(kind, info);
    const objects = kind.plural === "nodes" ? await this.#nodes(selection) : await this.#pods(selection);
    if (info.verb === "list") return listReply(request, objects);
    const [object] = objects;
    if (object) return objectReply(request, object);
    throw this.#missing(request);
  }

  /** As metrics-server words it. */
  #missing({ kind, info }: KindCall) {
    const key = kind.namespaced ? `${info.namespace}/${info.name}` : info.name;
    if (!this.#deps.store.get(kind.plural, key)) return notFound({ group: "", plural: kind.plural }, key);
    return notFound({ group: kind.group, plural: kind.kind.toLowerCase() }, key);
  }

  async #nodes(selection: Selection): Promise<NodeMetrics[]> {
    const nodes = this.#deps.store.list("nodes").filter((entry) => isSelected(selection, entry.object));
    const measured = await this.#measure(nodes.map(({ object }) => object.metadata.name));
    return nodes.flatMap(({ object }) => {
      const summary = measured.get(object.metadata.name);
      if (!summary) return [];
      const head = metricsHead("NodeMetrics", object, summary);
      return [{ ...head, usage: usageOf(summary.node) }];
    });
  }

  async #pods(selection: Selection): Promise<PodMetrics[]> {
    const pods = this.#deps.store
      .list("pods")
      .map(({ object }) => object)
      .filter((pod) => isSelected(selection, pod));
    const measured = await this.#measure([...new Set(pods.flatMap((pod) => nodeOf(pod) ?? []))]);
    return pods.flatMap((pod) => {
      const summary = measured.get(nodeOf(pod) ?? "");
      const found = summary?.pods.find(({ podRef }) => podRef.uid === pod.metadata.uid);
      if (!summary || !found) return [];
      const containers = found.containers.map((one) => ({ name: one.name, usage: usageOf(one) }));
      return [{ ...metricsHead("PodMetrics", pod, summary), containers }];
    });
  }

  /** The summaries of the nodes that answer. */
  async #measure(nodes: readonly string[]): Promise<Map<string, Summary>> {
    const found = new Map<string, Summary>();
    await Promise.all(
      nodes.map(async (node) => {
        try {
          const text = await this.#deps.ask(node, "/stats/summary?only_cpu_and_memory=true", PATIENCE_MS);
          found.set(node, JSON.parse(text) as Summary);
        } catch (error) {
          this.#deps.log.debug("A node's metrics are missing", { node, error: errorMessage(error) });
        }
      }),
    );
    return found;
  }
}

function nodeOf(pod: StoredObject): string | undefined {
  return (pod.spec as { nodeName?: string }).nodeName;
}

function isSelected({ namespace, name, matches }: Selection, object: StoredObject): boolean {
  const { metadata } = object;
  return (!namespace || metadata.namespace === namespace) && (!name || metadata.name === name) && matches(object);
}

function metricsHead(kind: string, { metadata }: StoredObject, summary: Summary) {
  const timestamp = `${summary.node.cpu.time.slice(0, 19)}Z`;
  const { name, namespace, labels } = metadata;
  const shown = {
    name,
    ...(namespace ? { namespace } : {}),
    creationTimestamp: timestamp,
    ...(labels ? { labels } : {}),
  };
  const window = `${(summary.podwireWindowMilliseconds ?? 0) / 1000}s`;
  return { kind, apiVersion: "metrics.k8s.io/v1beta1", metadata: shown, timestamp, window };
}

/** Nanocores and kibibytes, as metrics-server states them. */
function usageOf({ cpu, memory }: Figures): MetricsUsage {
  const nanoCores = cpu.usageNanoCores;
  return { cpu: nanoCores === 0 ? "0" : `${nanoCores}n`, memory: `${Math.ceil(memory.workingSetBytes / 1024)}Ki` };
}

function objectReply({ kind, info, call }: KindCall, object: StoredObject): Reply {
  const form = acceptedForm(call.headers.accept);
  if (form === "table") {
    const row = rowJson(kind, object, includeObject(info.query), Date.now());
    return jsonReply(tableJson({}, columnsJson(kind), [row]));
  }
  return jsonReply(form === "metadata" ? partialMetadata(object) : object);
}

function listReply({ kind, info, call }: KindCall, objects: readonly StoredObject[]): Reply {
  const form = acceptedForm(call.headers.accept);
  if (form === "table") {
    const rows = objects.map((object) => rowJson(kind, object, includeObject(info.query), Date.now()));
    return jsonReply(tableJson({}, columnsJson(kind), rows));
  }
  const type =
    form === "metadata"
      ? { kind: "PartialObjectMetadataList", apiVersion: "meta.k8s.io/v1" }
      : { kind: `${kind.kind}List`, apiVersion: "metrics.k8s.io/v1beta1" };
  return jsonReply({ ...type, metadata: {}, items: form === "metadata" ? objects.map(partialMetadata) : objects });
}
