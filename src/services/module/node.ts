import { networkInterfaces } from "node:os";
import { type Client, delay, Informer, type Node, resources } from "#api/index.ts";
import { formatIp, type Ip, parseIp, tryParseIp } from "#base/ip.ts";
import type { Logger } from "#base/log.ts";
import { IPVS_DEVICE } from "../backends/index.ts";

/** What of its node a proxy has to know before it starts. */
export interface NodeFacts {
  /** Of its status, the first one first. Empty: unknown. */
  readonly addresses: readonly Ip[];
  readonly podCidrs: readonly string[];
}

/** Upstream's patience with a node that does not say its addresses, in ms. */
const PATIENCE_MS = 30_000;

/** What a node's object says. */
export function factsOf(node: Node | undefined): NodeFacts {
  const { podCIDR, podCIDRs = podCIDR ? [podCIDR] : [] } = node?.spec ?? {};
  const of = (type: string) => (node?.status?.addresses ?? []).filter((address) => address.type === type);
  const addresses = [...of("InternalIP"), ...of("ExternalIP")].flatMap(({ address }) => tryParseIp(address) ?? []);
  return { addresses: firstOfEach(addresses), podCidrs: podCIDRs };
}

function firstOfEach(addresses: readonly Ip[]): Ip[] {
  return addresses.filter((ip, i) => addresses.findIndex(({ family }) => family === ip.family) === i);
}

/**
 * Waits for the node to have addresses (for a while; then they are unknown) and, where wanted, pod CIDRs (until the
 * signal).
 * @throws the signal's reason
 */
export async function waitForNode(
  nodeName: string,
  wantsPodCidrs: boolean,
  deps: { readonly client: Client; readonly log: Logger; readonly signal: AbortSignal },
): Promise<NodeFacts> {
  const { client, log, signal } = deps;
  const done = new AbortController();
  const both = AbortSignal.any([signal, done.signal]);
  const node = new Informer(
    client,
    resources.nodes,
    { fieldSelector: `metadata.name=${nodeName}` },
    { log, signal: both },
  );
  let next = Promise.withResolvers<void>();
  // One listener of each for all turns.
  node.onChange(() => next.resolve());
  both.addEventListener("abort", () => next.resolve(), { once: true });
  node.start();
  try {
    const patience = delay(PATIENCE_MS, both);
    let isPatient = true;
    void patience.then(() => (isPatient = false));
    for (;;) {
      next = Promise.withResolvers();
      signal.throwIfAborted();
      const facts = factsOf(node.get(nodeName));
      const hasAll = !wantsPodCidrs || facts.podCidrs.length > 0;
      if (hasAll && (facts.addresses.length > 0 || !isPatient)) return facts;
      if (isPatient) log.info("Waiting for the node", { node: nodeName, podCIDRs: wantsPodCidrs });
      await Promise.race([next.promise, ...(isPatient ? [patience] : [])]);
    }
  } finally {
    done.abort();
    await node.ended();
  }
}

/**
 * The node's primary addresses: one that is given comes before those of the node (upstream's detectNodeIPs).
 * @param bindAddress the configuration's; 0.0.0.0 and :: say nothing
 */
export function primaryAddresses(addresses: readonly Ip[], bindAddress: string): Ip[] {
  const bound = ["0.0.0.0", "::"].includes(bindAddress) ? undefined : tryParseIp(bindAddress);
  if (bound) return [bound, ...addresses.filter(({ family }) => family !== bound.family)];
  return addresses.length ? [...addresses] : [parseIp("127.0.0.1"), parseIp("::1")];
}

/** Addresses of all interfaces of this process's network namespace; those of links (fe80::/10) and of Services left out. */
export function interfaceAddresses(): Ip[] {
  const own = Object.entries(networkInterfaces()).filter(([name]) => name !== IPVS_DEVICE);
  const texts = own.flatMap(([, list]) => (list ?? []).map(({ address }) => address));
  return texts.filter((text) => !/^fe[89ab]/.test(text)).flatMap((text) => tryParseIp(text) ?? []);
}

/** Whether both are the same addresses, in any order. */
export function sameAddresses(a: readonly Ip[], b: readonly Ip[]): boolean {
  const texts = (list: readonly Ip[]) => list.map(formatIp).sort().join();
  return texts(a) === texts(b);
}
