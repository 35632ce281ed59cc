/** An interface of a machine: one end of a cable whose other end is plugged into a segment. */
export interface Interface {
  readonly name: string;
  /** Further names of it (`ip link show ens3`). */
  readonly altnames: readonly string[];
  readonly segment: string;
  /** Six bytes in hexadecimal, colons between them. */
  readonly mac: string;
  /** Addresses with prefix length, e.g. 192.168.1.11/24. */
  readonly addresses: readonly string[];
}

/** A static route of a machine. */
export interface StaticRoute {
  /** A network, or "default". */
  readonly to: string;
  readonly via: string;
}

/** A computer of the lab: namespaces of its own, an own root file system, interfaces. */
export interface MachineModel {
  readonly name: string;
  readonly interfaces: readonly Interface[];
  readonly routes: readonly StaticRoute[];
  /** Dotted sysctl names of the machine's network namespace. */
  readonly sysctls: Readonly<Record<string, string>>;
}

/** Machines and the segments (one Ethernet broadcast domain each) that connect them. */
export interface Topology {
  readonly segments: readonly { readonly name: string; readonly mtu: number }[];
  readonly machines: readonly MachineModel[];
}

/**
 * Sysctls that every machine starts from. New namespaces inherit some of these from the one that made them, which on
 * one computer are 0 and on the next 1, so each that matters is set (ip-sysctl.rst).
 */
export const baseSysctls: Readonly<Record<string, string>> = {
  "net.ipv4.ip_forward": "0",
  "net.ipv6.conf.all.forwarding": "0",
  "net.ipv4.conf.all.rp_filter": "0",
  "net.ipv4.conf.default.rp_filter": "0",
  "net.ipv6.conf.all.disable_ipv6": "0",
  "net.ipv6.conf.default.accept_ra": "0",
  "net.ipv6.conf.default.accept_dad": "0",
  // Lets a process without privileges listen on low ports, as in containers of today's runtimes.
  "net.ipv4.ip_unprivileged_port_start": "0",
  "net.ipv4.ping_group_range": "0 65535",
};

/** Sysctls of a machine that forwards packets: a router, or a node with pods. */
export const forwardingSysctls: Readonly<Record<string, string>> = {
  "net.ipv4.ip_forward": "1",
  "net.ipv6.conf.all.forwarding": "1",
};

/** A locally administered MAC address (IEEE 802c) for interface `n` of segment `segment`. */
export function macAddress(segment: number, n: number): string {
  const bytes = [0x02, 0x50, segment, (n >> 16) & 255, (n >> 8) & 255, n & 255];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}
