import { macOf } from "./addresses.ts";
import { type Attachment, BRIDGE, type NetworkMode, type RunNetwork } from "./model.ts";
import { type IptablesState, missing, portRules, sharedRules, unwanted } from "./rules.ts";

/** A command as it is typed. */
export type Command = readonly string[];

/** One of the eight steps in which a container gets its network. */
export interface Step {
  readonly number: number;
  readonly title: string;
  readonly commands: readonly Command[];
  /** Why there is nothing to do. */
  readonly note?: string;
}

/** What the node has already. */
export interface NodeState {
  readonly bridge?: { readonly up: boolean; readonly hasAddress: boolean };
  readonly forwards: boolean;
  readonly iptables: IptablesState;
}

const TITLES = [
  "create network namespace",
  "create bridge network/interface",
  "create veth pair (virtual cable)",
  "attach veth to namespace",
  "attach other veth to bridge",
  "assign IP addresses",
  "bring the interfaces up",
  "enable NAT: IP masquerade, and the published ports",
] as const;

const inside = (netns: string, ...words: string[]): Command => ["ip", "-n", netns, ...words];

/** The namespace, with what Docker sets in it: any user may listen on port 80. */
function namespaceCommands(netns: string): readonly Command[] {
  const sysctl = ["sysctl", "-qw", "net.ipv4.ip_unprivileged_port_start=0"];
  return [
    ["ip", "netns", "add", netns],
    ["ip", "netns", "exec", netns, ...sysctl],
  ];
}

/** docker0 with an address of its own, which would else change with its ports. @param mac of the bridge, when it is made */
function bridgeSteps(network: RunNetwork, netns: string, cable: Attachment, state: NodeState, mac: string) {
  const { name, gateway, prefix } = BRIDGE;
  const broadcast = "172.17.255.255";
  const address = (ip: string) => ["addr", "add", `${ip}/${prefix}`, "brd", broadcast, "dev"];
  const { veth, peer } = cable;
  const steps: (readonly Command[])[] = [
    namespaceCommands(netns),
    state.bridge ? [] : [["ip", "link", "add", name, "address", mac, "type", "bridge"]],
    [["ip", "link", "add", veth, "type", "veth", "peer", "name", peer]],
    [
      ["ip", "link", "set", peer, "netns", netns],
      inside(netns, "link", "set", peer, "name", "eth0", "address", macOf(cable.address)),
    ],
    [["ip", "link", "set", veth, "master", name]],
    [
      ...(state.bridge?.hasAddress ? [] : [["ip", ...address(gateway), name]]),
      inside(netns, ...address(cable.address), "eth0"),
    ],
    [
      ...(state.bridge?.up ? [] : [["ip", "link", "set", name, "up"]]),
      ["ip", "link", "set", veth, "up"],
      inside(netns, "link", "set", "lo", "up"),
      inside(netns, "link", "set", "eth0", "up"),
      inside(netns, "route", "add", "default", "via", gateway),
    ],
    [
      ...(state.forwards ? [] : [["sysctl", "-qw", "net.ipv4.ip_forward=1"]]),
      ...missing(state.iptables, [...sharedRules(), ...portRules(cable, network.ports)]),
    ],
  ];
  return steps;
}

const NOTES: Readonly<Record<NetworkMode, string>> = {
  bridge: "is there already",
  none: "not with --network none: the container has a loopback interface and nothing else",
  host: "not with --network host: the container lives in the node's own network",
};

/**
 * The eight steps that give a container its network, in their order, less what the node has already. The commands,
 * typed on the node, do the same.
 * @param mac MAC address for docker0, should it have to be made
 */
export function planSteps(network: RunNetwork, state: NodeState, mac: string): readonly Step[] {
  const { mode, netns, attachment } = network;
  const commands: readonly (readonly Command[])[] =
    netns === undefined
      ? []
      : attachment
        ? bridgeSteps(network, netns, attachment, state, mac)
        : [namespaceCommands(netns), [], [], [], [], [], [inside(netns, "link", "set", "lo", "up")]];
  return TITLES.map((title, index) => {
    const list = commands[index] ?? [];
    return { number: index + 1, title, commands: list, ...(list.length === 0 ? { note: NOTES[mode] } : {}) };
  });
}

/** The commands that take a container's network away again, but for its namespace; docker0 and the shared rules stay. */
export function planRemoval(
  { attachment, ports }: RunNetwork,
  hasVeth: boolean,
  state: IptablesState,
): readonly Command[] {
  if (!attachment) return [];
  return [
    ...unwanted(state, portRules(attachment, ports)),
    ...(hasVeth ? [["ip", "link", "del", attachment.veth]] : []),
  ];
}

/** A step as lines of a shell script. */
export function explainStep({ number, title, commands, note }: Step): string {
  const heading = `# ${number}. ${title}${note === undefined ? "" : `: ${note}`}`;
  return `${[heading, ...commands.map((words) => words.join(" "))].join("\n")}\n`;
}
