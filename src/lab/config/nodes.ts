import { PodwireError } from "#base/errors.ts";
import { checkAddress, checkNodeName, refuse } from "./checks.ts";
import type { ClusterConfig, ClusterInput, NodeConfig } from "./model.ts";
import { checkRoom, hostAddresses } from "./ranges.ts";

/** Host parts in the node network. */
const FIRST_NODE = 10;
export const ROUTER = 1;
const MAX_NODES = 200;

function workerName(slot: number): string {
  return `node${String(slot).padStart(2, "0")}`;
}

/** The nodes from what the user gave: their number, or a list. @throws PodwireError "InvalidConfig" */
export function nodesOf(wanted: NonNullable<ClusterInput["nodes"]>, nodeCidrs: readonly string[]): NodeConfig[] {
  if (typeof wanted !== "number") {
    return wanted.map((node, i) => ({
      name: node.name,
      role: node.role ?? (i === 0 ? "control-plane" : "worker"),
      addresses:
        node.address === undefined
          ? hostAddresses("nodeCidr", nodeCidrs, FIRST_NODE + i)
          : node.address.split(",").map((a) => a.trim()),
      slot: i,
    }));
  }
  if (!Number.isInteger(wanted) || wanted < 1 || wanted > MAX_NODES) {
    throw refuse(`nodes: found ${wanted}; allowed is 1 to ${MAX_NODES}`, "nodes");
  }
  return Array.from({ length: wanted }, (_, i) => ({
    name: i === 0 ? "controlplane" : workerName(i),
    role: i === 0 ? "control-plane" : "worker",
    addresses: hostAddresses("nodeCidr", nodeCidrs, FIRST_NODE + i),
    slot: i,
  }));
}

/** Refuses nodes that clash with each other or with the router. @throws PodwireError "InvalidConfig" */
export function checkNodes(nodes: readonly NodeConfig[], nodeCidrs: readonly string[]): void {
  const names = new Map<string, number>();
  const addresses = new Map(hostAddresses("nodeCidr", nodeCidrs, ROUTER).map((address) => [address, "router"]));
  for (const [i, node] of nodes.entries()) {
    checkNodeName(`nodes[${i}].name`, node.name);
    const other = names.get(node.name);
    if (other !== undefined)
      throw refuse(`nodes[${other}] and nodes[${i}] are both named "${node.name}"; node names must be unique`, "nodes");
    names.set(node.name, i);
    const families = new Set(node.addresses.map((address) => checkAddress(node.name, address, addresses, nodeCidrs)));
    if (families.size < node.addresses.length)
      throw refuse(`node ${node.name}: found ${node.addresses.join(", ")}; allowed is one address per family`, "nodes");
  }
  const planes = nodes.filter((n) => n.role === "control-plane");
  if (planes.length !== 1)
    throw refuse(`nodes: found ${planes.length} nodes with role control-plane; allowed is exactly one`, "nodes");
}

/** A node that is to be added; what is not said follows from its place. */
export interface NodeWish {
  readonly name?: string;
  /** One address, or one per family with a comma between them. */
  readonly address?: string;
}

/**
 * A cluster's configuration with one worker more.
 * @throws PodwireError "InvalidConfig"
 */
export function withNode(config: ClusterConfig, wish: NodeWish): { config: ClusterConfig; node: NodeConfig } {
  const { nodeCidrs, podCidrs, nodeCidrMaskSizes } = config;
  if (config.nodes.length >= MAX_NODES)
    throw refuse(`nodes: there are ${config.nodes.length}; allowed are at most ${MAX_NODES}`, "nodes");
  if (wish.name !== undefined) checkNodeName("node name", wish.name);
  const slot = freeSlot(config.nodes);
  const node: NodeConfig = {
    name: wish.name ?? workerName(slot),
    role: "worker",
    addresses: wish.address?.split(",").map((a) => a.trim()) ?? hostAddresses("nodeCidr", nodeCidrs, FIRST_NODE + slot),
    slot,
  };
  if (config.nodes.some(({ name }) => name === node.name))
    throw refuse(`there is a node "${node.name}" already`, "nodes");
  const nodes = [...config.nodes, node];
  checkNodes(nodes, nodeCidrs);
  checkRoom(podCidrs, nodeCidrMaskSizes, nodes.length);
  return { config: { ...config, nodes }, node };
}

function freeSlot(nodes: readonly NodeConfig[]): number {
  const taken = new Set(nodes.map((node) => node.slot));
  let slot = 0;
  while (taken.has(slot)) slot++;
  return slot;
}

/** The node of a name. @throws PodwireError "NotFound" naming those that there are */
export function nodeNamed(config: ClusterConfig, name: string): NodeConfig {
  const node = config.nodes.find((candidate) => candidate.name === name);
  if (node) return node;
  throw new PodwireError("NotFound", `no node "${name}"; there are ${config.nodes.map((n) => n.name).join(", ")}`);
}

/** A cluster's configuration without one of its workers. @throws PodwireError "NotFound", "InvalidConfig" */
export function withoutNode(config: ClusterConfig, name: string): ClusterConfig {
  const node = nodeNamed(config, name);
  if (node.role === "control-plane")
    throw refuse(
      `node ${name} is the control plane, without which there is no cluster (podwire down ends it)`,
      "nodes",
    );
  return { ...config, nodes: config.nodes.filter((other) => other !== node) };
}
