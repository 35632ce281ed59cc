import { readFileSync } from "node:fs";
import { newNetns, pinNetns, setSysctl, unpinNetns } from "#kernel/namespaces/index.ts";
import { openRtnetlink, type Rtnetlink } from "#kernel/netlink/index.ts";
import { execute } from "./execute.ts";
import { BRIDGE, type RunNetwork } from "./model.ts";
import { type Command, type NodeState, planRemoval, planSteps, type Step } from "./plan.ts";
import type { IptablesState } from "./rules.ts";

/** Where `ip netns` looks. */
const NETNS_FOLDER = "/run/netns";

/** Path by which a namespace can be opened. */
export function netnsPath(name: string): string {
  return `${NETNS_FOLDER}/${name}`;
}

function withRtnetlink<T>(work: (rtnl: Rtnetlink) => T): T {
  const rtnl = openRtnetlink();
  try {
    return work(rtnl);
  } finally {
    rtnl.close();
  }
}

async function iptablesState(): Promise<IptablesState> {
  const [nat, filter] = await Promise.all(["nat", "filter"].map((table) => execute(["iptables-save", "-t", table])));
  return { nat: nat ?? "", filter: filter ?? "" };
}

async function nodeState(): Promise<NodeState> {
  const bridge = withRtnetlink((rtnl) => {
    const link = rtnl.link({ name: BRIDGE.name });
    const wanted = `${BRIDGE.gateway}/${BRIDGE.prefix}`;
    return link && { up: link.up, hasAddress: rtnl.addresses(link.index).some((a) => a.address === wanted) };
  });
  const forwards = readFileSync("/proc/sys/net/ipv4/ip_forward", "utf8").trim() === "1";
  return { ...(bridge ? { bridge } : {}), forwards, iptables: await iptablesState() };
}

/**
 * Makes a namespace as `ip netns add` does, less one thing: that makes a mount of /run/netns itself when it is first
 * used, over the namespaces of pods that are pinned there.
 */
function makeNamespace(name: string): void {
  const netns = newNetns();
  try {
    pinNetns(netns, netnsPath(name));
    setSysctl(netns, "net.ipv4.ip_unprivileged_port_start", "0");
  } finally {
    netns.close();
  }
}

async function perform(network: RunNetwork, command: Command): Promise<void> {
  const [program, object, action] = command;
  if (program === "ip" && object === "netns") {
    if (action === "add") makeNamespace(network.netns ?? "");
    return;
  }
  await execute(command);
}

/**
 * Gives a container its network, in the eight steps.
 * @param mac MAC address for docker0, should it have to be made
 * @param onStep hears of each step before it is done
 * @throws PodwireError "CommandFailed", SysError; what was made until then is for {@link removeNetwork}
 */
export async function makeNetwork(network: RunNetwork, mac: string, onStep: (step: Step) => void): Promise<void> {
  const none: NodeState = { forwards: true, iptables: { nat: "", filter: "" } };
  const state = network.attachment ? await nodeState() : none;
  for (const step of planSteps(network, state, mac)) {
    onStep(step);
    for (const command of step.commands) await perform(network, command);
  }
}

/** Takes away whatever there is of a container's network; what is gone already is no error. */
export async function removeNetwork(network: RunNetwork): Promise<void> {
  const { netns, attachment } = network;
  if (attachment) {
    const hasVeth = withRtnetlink((rtnl) => rtnl.link({ name: attachment.veth }) !== undefined);
    for (const command of planRemoval(network, hasVeth, await iptablesState())) await execute(command);
  }
  if (netns !== undefined) unpinNetns(netnsPath(netns));
}
