import { createHash } from "node:crypto";
import { formatIp, type Ip } from "#base/ip.ts";
import { concat, type Element, hostU32, networkU16, type Verdict } from "#kernel/nft/index.ts";
import { addressKey, type Frontend, type Target } from "../../model/index.ts";
import type { Layout, SetName } from "./layout.ts";
import { type Gate, gateName, type Treatment, treatmentName } from "./treatment.ts";

/** What a frontend wants in the kernel. */
export interface FrontendPlan {
  /** Identity of the frontend's address ({@link addressKey}). */
  readonly key: string;
  /** The chain that its entry goes to, when it needs one of its own kind. */
  readonly treatment?: Treatment;
  /** The chain that its entry goes to first, when it is not for everybody. */
  readonly gate?: Gate;
  /** Elements that belong to this frontend alone. */
  readonly elements: readonly (readonly [SetName, Element])[];
  /** Elements that other frontends may want too. */
  readonly shared: readonly (readonly [SetName, Element])[];
}

/** The map elements of one frontend in its family's table. Pure. */
export function planFrontend(layout: Layout, frontend: Frontend): FrontendPlan {
  const { ip, protocol, port, origin, label, action, affinitySeconds, kind } = frontend;
  const address = concat(ip.bytes, Uint8Array.of(protocol), networkU16(port));
  const shared: [SetName, Element][] = [];
  if (kind === "ClusterIP") {
    shared.push([
      "cluster-ips",
      { key: ip.bytes, comment: label.replace(/:.*/, ""), origin: { ...origin, field: "spec.clusterIP" } },
    ]);
  }
  const entry = (data: Verdict): [SetName, Element] => ["services", { key: address, data, comment: label, origin }];
  const key = addressKey(frontend);
  const way = (to: string): { gate?: Gate; elements: [SetName, Element][] } => {
    const gate = frontend.sources && { sources: frontend.sources, to };
    return { ...(gate && { gate }), elements: [entry({ kind: "goto", chain: gate ? gateName(gate) : to })] };
  };
  if (action.kind === "reject") return { key, ...way(layout.refuse.name), shared };
  if (action.kind === "drop") return { key, elements: [entry({ kind: "drop" })], shared };

  const { list, treatment } = arrange(frontend, action);
  for (const target of list) shared.push(["hairpin", hairpin(target)]);
  const { gate, elements } = way(treatmentName(treatment));
  const ids = affinitySeconds === undefined ? [] : endpointIds(list);
  for (const [index, target] of list.entries()) {
    const data = concat(target.ip.bytes, networkU16(target.port));
    const id = ids[index];
    if (id === undefined) {
      elements.push(["endpoints", { key: concat(address, hostU32(index)), data, origin }]);
      continue;
    }
    elements.push(["affinity-ids", { key: concat(address, hostU32(index)), data: hostU32(id), origin }]);
    elements.push(["affinity-endpoints", { key: concat(address, hostU32(id)), data, origin }]);
  }
  return { key, treatment, ...(gate && { gate }), elements: ids.length ? withoutRepeats(elements) : elements, shared };
}

/** The endpoint list of a frontend, and which numbers of it are whose. */
function arrange(
  frontend: Frontend,
  action: Extract<Frontend["action"], { kind: "balance" | "balance-local" }>,
): { list: readonly Target[]; treatment: Treatment } {
  const affinity = frontend.affinitySeconds === undefined ? {} : { affinitySeconds: frontend.affinitySeconds };
  if (action.kind === "balance") {
    const policy = frontend.kind === "ClusterIP" ? "cluster" : "external";
    return { list: action.targets, treatment: { policy, count: action.targets.length, from: 0, ...affinity } };
  }
  const { targets, local } = action;
  // Usually the node's own endpoints are among all: then one list, with them first, serves both.
  const others = targets.filter((target) => !local.includes(target));
  const isPart = others.length + local.length === targets.length;
  const list = isPart ? [...local, ...others] : [...local, ...targets];
  return {
    list,
    treatment: {
      policy: "external-local",
      count: targets.length,
      from: isPart ? 0 : local.length,
      local: local.length,
      ...affinity,
    },
  };
}

/** A pod's connection to a Service that ends at the pod itself. */
export function hairpin({ ip, origin }: Target): Element {
  return { key: concat(ip.bytes, ip.bytes), origin };
}

/**
 * A number for each endpoint which it keeps whatever else the Service has: made of its address and port.
 * The top bit keeps them apart from any priority that a packet has by itself.
 */
function endpointIds(targets: readonly Target[]): number[] {
  const byId = new Map<number, string>();
  return targets.map((target) => {
    const text = addressText(target.ip, target.port);
    let id = createHash("sha256").update(text).digest().readUInt32LE() | 0x80000000;
    // Equal numbers for different endpoints of a Service: one in two thousand million.
    while ((byId.get(id) ?? text) !== text) id = (id + 1) | 0x80000000;
    byId.set(id, text);
    return id >>> 0;
  });
}

function addressText(ip: Ip, port: number): string {
  return `${formatIp(ip)} ${port}`;
}

/** An endpoint that stands twice in a list (local, and one of all) has one entry by its number. */
function withoutRepeats(elements: readonly (readonly [SetName, Element])[]): (readonly [SetName, Element])[] {
  const seen = new Set<string>();
  return elements.filter(([set, { key }]) => {
    const name = `${set} ${Buffer.from(key).toString("latin1")}`;
    if (seen.has(name)) return false;
    seen.add(name);
    return true;
  });
}
