import {
  type Informer,
  isConflict,
  isNotFound,
  type Lease,
  type Node,
  type Pod,
  referenceTo,
  resources,
} from "#api/index.ts";
import { equalJson } from "#base/json.ts";
import type { ControllerContext } from "../context.ts";
import { conditionOf, isPodReady, setCondition } from "../objects.ts";
import { settleAll } from "../podcontrol.ts";
import { type EvictionRule, evictionRules, zonesOf } from "./disruption.ts";
import { planNode } from "./lifecycle.ts";
import { allocateSubnets, podCidrsOf, subnetPools } from "./subnets.ts";

/** Gives every node its pod subnets. */
export function subnetController(context: ControllerContext): void {
  const nodes = context.informer(resources.nodes);
  const { podCidrs, nodeCidrMaskSize, nodeOrder = [] } = context.options;
  const pools = subnetPools(podCidrs, nodeCidrMaskSize);
  if (pools.length === 0) return;
  const queue = context.control({
    name: "node-subnets",
    needs: [nodes],
    concurrency: 1, // each allocation sees those before it
    handle: async (name) => {
      const node = nodes.get(name);
      if (!node || podCidrsOf(node).length > 0 || node.metadata.deletionTimestamp !== undefined) return;
      const wish = nodeOrder.indexOf(name);
      // A named node's subnet is kept for it, should another one come first.
      const reserved = nodeOrder.flatMap((other, n) => (other === name || nodes.get(other) ? [] : [n]));
      const subnets =
        allocateSubnets(pools, [...nodes.list(), ...reserved.map((n) => placeholder(pools, n))], wish) ??
        allocateSubnets(pools, nodes.list(), wish);
      if (!subnets) {
        const message = `Node ${name} status is now: CIDRNotAvailable`;
        context
          .recorder("cidrAllocator")
          .event(referenceTo(resources.nodes, node), "Normal", "CIDRNotAvailable", message);
        return;
      }
      const patch = { metadata: { uid: node.metadata.uid }, spec: { podCIDR: subnets[0], podCIDRs: subnets } };
      nodes.assume(await context.client.patch(resources.nodes, name, undefined, patch, { type: "merge" }));
    },
  });
  nodes.onChange(({ type, object }) => {
    if (type !== "DELETED") return podCidrsOf(object).length === 0 ? queue.add(object.metadata.name) : undefined;
    for (const node of nodes.list()) if (podCidrsOf(node).length === 0) queue.add(node.metadata.name);
  });
}

/** A node that stands for a reserved subnet. */
function placeholder(pools: ReturnType<typeof subnetPools>, n: number): Node {
  return { metadata: { name: "" }, spec: { podCIDRs: allocateSubnets(pools, [], n) ?? [] } };
}

/** Follows nodes' conditions and leases: taints, Unknown after silence, and pods of such nodes not ready. */
export function lifecycleController(context: ControllerContext): void {
  const nodes = context.informer(resources.nodes);
  const leases = context.informer(resources.leases, { namespace: "kube-node-lease" });
  const pods = context.informer(resources.pods);
  const podsOn = pods.index(({ spec }) => [spec.nodeName ?? ""]);
  const graceMs = context.options.nodeGraceMs ?? 50_000;
  /** When each node was last heard of, by this process's clock: clocks of nodes may differ. */
  const heard = new Map<string, number>();
  const silenceOf = (name: string): number => {
    const now = context.now().getTime();
    return now - (heard.get(name) ?? now);
  };

  const queue = context.control({
    name: "node-lifecycle",
    needs: [nodes, leases, pods],
    handle: async (name) => {
      const node = nodes.get(name);
      if (!node) return void heard.delete(name);
      const silentMs = silenceOf(name);
      const silent = silentMs >= graceMs;
      const isReady = (one: Node) => readiness(one) === "True" && silenceOf(one.metadata.name) < graceMs;
      await write(context, node, silent, evictionRules(nodes.list(), isReady)(node));
      const ready = conditionOf(node.status?.conditions, "Ready")?.status;
      if (silent || (ready !== undefined && ready !== "True")) await markNotReady(context, podsOn.get(name));
      return silent ? undefined : graceMs - silentMs + 1;
    },
  });

  reportZones(context, nodes);
  recordNodes(context, nodes);
  const hear = (name: string) => {
    heard.set(name, context.now().getTime());
    queue.add(name);
  };
  nodes.onChange(({ type, object, old }) => {
    const { name } = object.metadata;
    // Whether pods are evicted depends on how many others are lost.
    if (type !== "MODIFIED" || readiness(object) !== readiness(old))
      for (const other of nodes.list()) if (readiness(other) !== "True") queue.add(other.metadata.name);
    // What this controller wrote itself is no sign of life.
    const alive = type === "ADDED" || !equalJson(heartbeats(object), heartbeats(old));
    if (alive && type !== "DELETED") hear(name);
    else queue.add(name);
  });
  leases.onChange(({ type, object, old }: { type: string; object: Lease; old?: Lease }) => {
    if (type !== "DELETED" && object.spec?.renewTime !== old?.spec?.renewTime) hear(object.metadata.name);
  });
}

/** Metrics of nodes by zone. */
function reportZones(context: ControllerContext, nodes: Informer<Node>): void {
  const { metrics } = context;
  const size = metrics.gauge("node_collector_zone_size", "Gauge measuring number of registered Nodes per zones.");
  const unhealthy = metrics.gauge(
    "node_collector_unhealthy_nodes_in_zone",
    "Gauge measuring number of not Ready Nodes per zones.",
  );
  context.sample(() => {
    for (const [zone, { ready, lost }] of zonesOf(nodes.list())) {
      const labels = { zone: zone === "\0" ? "" : zone.replace("\0", ":") };
      size.set(ready + lost, labels);
      unhealthy.set(lost, labels);
    }
  });
}

/** Events about nodes that come, other than those that were there at the start, and go. */
function recordNodes(context: ControllerContext, nodes: Informer<Node>): void {
  const recorder = context.recorder("node-controller");
  let started = false;
  nodes.synced.then(
    () => (started = true),
    () => {}, // stopped before the first sync
  );
  nodes.onChange(({ type, object }) => {
    const { name } = object.metadata;
    const about = referenceTo(resources.nodes, object);
    if (type === "ADDED" && started)
      recorder.event(about, "Normal", "RegisteredNode", `Node ${name} event: Registered Node ${name} in Controller`);
    if (type === "DELETED")
      recorder.event(about, "Normal", "RemovingNode", `Node ${name} event: Removing Node ${name} from Controller`);
  });
}

function readiness(node: Node | undefined): string | undefined {
  return conditionOf(node?.status?.conditions, "Ready")?.status;
}

function heartbeats(node: Node | undefined): unknown {
  return node?.status?.conditions?.map(({ type, lastHeartbeatTime }) => [type, lastHeartbeatTime]);
}

async function write(context: ControllerContext, node: Node, silent: boolean, rule: EvictionRule): Promise<void> {
  const nodes = context.informer(resources.nodes);
  const { name, uid, resourceVersion } = node.metadata;
  const plan = planNode(node, silent, context.now(), rule);
  try {
    if (plan.conditions) {
      const patch = { metadata: { uid, resourceVersion }, status: { conditions: plan.conditions } };
      const options = { type: "merge", subresource: "status" } as const;
      nodes.assume(await context.client.patch(resources.nodes, name, undefined, patch, options));
      const message = `Node ${name} status is now: NodeNotReady`;
      const about = referenceTo(resources.nodes, node);
      context.recorder("node-controller").event(about, "Normal", "NodeNotReady", message);
    }
    if (plan.taints) {
      const newest = nodes.get(name)?.metadata.resourceVersion;
      const patch = { metadata: { uid, resourceVersion: newest }, spec: { taints: plan.taints } };
      nodes.assume(await context.client.patch(resources.nodes, name, undefined, patch, { type: "merge" }));
    }
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

/** Pods of a node that is not ready serve no Service: their kubelet cannot say so any more. */
async function markNotReady(context: ControllerContext, pods: readonly Pod[]): Promise<void> {
  await settleAll(
    pods.filter(isPodReady).map(async (pod) => {
      const { name, namespace, uid, resourceVersion } = pod.metadata;
      const ready = { type: "Ready", status: "False", reason: "NodeNotReady" } as const;
      const conditions = setCondition(pod.status?.conditions ?? [], ready, context.now());
      const patch = { metadata: { uid, resourceVersion }, status: { conditions } };
      try {
        const options = { type: "merge", subresource: "status" } as const;
        const written = await context.client.patch(resources.pods, name, namespace, patch, options);
        context.informer(resources.pods).assume(written);
        const about = referenceTo(resources.pods, pod);
        context.recorder("node-controller").event(about, "Warning", "NodeNotReady", "Node is not ready");
      } catch (error) {
        if (!isNotFound(error) && !isConflict(error)) throw error;
      }
    }),
  );
}
