import type { Origin } from "#base/origin.ts";

// Addresses are canonical text ("10.244.1.1", "fd00::1"), networks "10.244.1.0/24", MAC addresses
// "02:00:00:00:00:01", devices their index in the namespace: values that print, compare and travel as they are.

/** What a device is. `other` has the kernel's own name of the kind ("" for a physical device or loopback). */
export type LinkKind =
  | { readonly type: "dummy" }
  | { readonly type: "bridge" }
  | { readonly type: "veth" }
  | VxlanKind
  | { readonly type: "other"; readonly name: string };

/** A vxlan device (RFC 7348). */
export interface VxlanKind {
  readonly type: "vxlan";
  /** VXLAN network identifier, 24 bits. */
  readonly id: number;
  /** Index of the underlay device. */
  readonly link?: number;
  /** Source address of the outer packets. */
  readonly local?: string;
  /** UDP port; default 8472, the kernel's (IANA's is 4789). */
  readonly port?: number;
  /** Whether the device learns addresses from packets; default false. */
  readonly learning?: boolean;
}

/** Operational states of devices (IF_OPER_*, include/uapi/linux/if.h), in the order of their numbers. */
export const operStates = ["unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up"] as const;
export type OperState = (typeof operStates)[number];

/** States of bridge ports (BR_STATE_*, include/uapi/linux/if_bridge.h), in the order of their numbers. */
export const portStates = ["disabled", "listening", "learning", "forwarding", "blocking"] as const;
export type PortState = (typeof portStates)[number];

/** A device as the kernel shows it. */
export interface Link {
  readonly index: number;
  readonly name: string;
  readonly altNames: readonly string[];
  readonly kind: LinkKind;
  /** MAC address, absent on devices without one. */
  readonly mac?: string;
  readonly mtu: number;
  /** Administratively up. */
  readonly up: boolean;
  /** Up, and the other side too. */
  readonly carrier: boolean;
  /** Whether packets can pass (RFC 2863): it follows the carrier with a delay, since the kernel handles that in a queue. */
  readonly operState: OperState;
  /** State of the bridge port, for devices in a bridge. */
  readonly port?: PortState;
  readonly promiscuous: boolean;
  /** Index of the bridge or other device that it belongs to; 0 for none. */
  readonly master: number;
  readonly group: number;
  /** Index of the lower or peer device; may be of another namespace. 0 for none. */
  readonly lower: number;
}

/** Settings of a new device or end of a veth pair. */
export interface NewLinkSettings {
  /** At most 15 bytes. */
  readonly name: string;
  /** Wanted index; the kernel chooses when absent. */
  readonly index?: number;
  readonly mac?: string;
  /** Bytes. */
  readonly mtu?: number;
  readonly group?: number;
}

/** Makes a device. It is down unless `up`. */
export interface AddLink extends NewLinkSettings {
  readonly op: "add-link";
  readonly kind: { readonly type: "dummy" } | { readonly type: "bridge" } | VxlanKind | NewVethKind;
  readonly up?: boolean;
  readonly master?: number;
  readonly origin?: Origin;
}

/** The other end of a new veth pair, made in the same message. It is down: up would fail with ENOTCONN. */
export interface NewVethKind {
  readonly type: "veth";
  readonly peer: NewLinkSettings & {
    /** Descriptor of the namespace that the peer is born in. */
    readonly netns?: number;
  };
}

/** Changes settings of a device; absent ones stay. */
export interface SetLink {
  readonly op: "set-link";
  readonly index: number;
  readonly up?: boolean;
  readonly name?: string;
  readonly mac?: string;
  readonly mtu?: number;
  /** 0 takes the device out of its bridge. */
  readonly master?: number;
  readonly group?: number;
  readonly promiscuous?: boolean;
  /** Descriptor of the namespace to move the device to. */
  readonly netns?: number;
}

/** Changes settings of a bridge port. */
export interface SetBridgePort {
  readonly op: "set-bridge-port";
  readonly index: number;
  /** Whether a frame may leave by the port it came in. */
  readonly hairpin?: boolean;
  /** Isolated ports exchange no frames with each other. */
  readonly isolated?: boolean;
}

/** Gives a device one more name. */
export interface AddAltName {
  readonly op: "add-altname";
  readonly index: number;
  readonly altName: string;
}

/** Removes a device; deleting one end of a veth pair removes both. About 25 ms on a kernel with RCU grace periods. */
export interface DeleteLink {
  readonly op: "delete-link";
  readonly index: number;
}

/** Removes all devices of a group in one go: 1–3 ms. */
export interface DeleteGroup {
  readonly op: "delete-group";
  readonly group: number;
}

/** An address of a device. */
export interface Address {
  readonly index: number;
  /** Address with prefix length, such as "10.244.1.1/24". */
  readonly address: string;
}

/** Adds an address. IPv6 ones skip duplicate address detection, which would cost a second. */
export interface AddAddress extends Address {
  readonly op: "add-address";
  readonly origin?: Origin;
}

/** Removes an address. */
export interface DeleteAddress extends Address {
  readonly op: "delete-address";
}

/** Type of a route (rtm_type). */
export type RouteType = "unicast" | "local" | "blackhole" | "unreachable" | "prohibit";

/** A route. */
export interface Route {
  /** Destination network, host bits zero: "0.0.0.0/0" is IPv4's default route. */
  readonly dst: string;
  /** Gateway. */
  readonly via?: string;
  /** Index of the device. */
  readonly index?: number;
  /** The gateway is taken as reachable on the device although no address says so. */
  readonly onlink?: boolean;
  /** Preferred source address. */
  readonly source?: string;
  /** Lower wins; default 0 for IPv4, 1024 for IPv6. */
  readonly metric?: number;
  /** Default 254, the main table. */
  readonly table?: number;
  /** Who made it (rtm_protocol); default {@link ROUTE_PROTOCOL_PODWIRE}. */
  readonly protocol?: number;
  /** Default unicast. */
  readonly type?: RouteType;
}

/** A route as the kernel shows it. */
export type KernelRoute = Route & Required<Pick<Route, "metric" | "table" | "protocol" | "type">>;

/** Adds a route, or with `replace` puts it in place of the one with the same destination, metric and table. */
export interface AddRoute extends Route {
  readonly op: "add-route";
  readonly replace?: boolean;
  readonly origin?: Origin;
}

/** Removes a route. */
export interface DeleteRoute extends Route {
  readonly op: "delete-route";
}

/** State of a neighbour (NUD_*). */
export type NeighbourState =
  | "incomplete"
  | "reachable"
  | "stale"
  | "delay"
  | "probe"
  | "failed"
  | "noarp"
  | "permanent"
  | "none";

/** An entry of the ARP or ND table. */
export interface Neighbour {
  readonly index: number;
  readonly ip: string;
  readonly mac?: string;
  readonly state: NeighbourState;
}

/** Adds a neighbour, or replaces the one with the same device and address. */
export interface AddNeighbour {
  readonly op: "add-neighbour";
  readonly index: number;
  readonly ip: string;
  readonly mac: string;
  /** Default permanent. */
  readonly state?: "permanent" | "reachable" | "stale";
  /**
   * Marked as learnt by a program (NTF_EXT_LEARNED, `extern_learn`): it goes through the states like any other, but is
   * not collected as garbage and does not count in net.ipv4.neigh.default.gc_thresh3 (since Linux 5.0).
   */
  readonly externLearned?: boolean;
  readonly origin?: Origin;
}

/** Removes a neighbour. */
export interface DeleteNeighbour {
  readonly op: "delete-neighbour";
  readonly index: number;
  readonly ip: string;
}

/** An entry of a vxlan device's forwarding table: the outer destination of a MAC address. */
export interface FdbEntry {
  readonly index: number;
  readonly mac: string;
  /** Outer destination; absent in a bridge's own entries. */
  readonly dst?: string;
}

/** Adds a permanent entry to a vxlan device's table, or replaces the one with the same MAC address. */
export interface AddFdb {
  readonly op: "add-fdb";
  readonly index: number;
  readonly mac: string;
  readonly dst: string;
  readonly origin?: Origin;
}

/** Removes an entry from a vxlan device's table. */
export interface DeleteFdb {
  readonly op: "delete-fdb";
  readonly index: number;
  readonly mac: string;
  readonly dst: string;
}

/** One change to a namespace's network. Several go to the kernel in one send. */
export type Operation =
  | AddLink
  | SetLink
  | SetBridgePort
  | AddAltName
  | DeleteLink
  | DeleteGroup
  | AddAddress
  | DeleteAddress
  | AddRoute
  | DeleteRoute
  | AddNeighbour
  | DeleteNeighbour
  | AddFdb
  | DeleteFdb;
