import { readFileSync } from "node:fs";
import { hasCode, PodwireError } from "#base/errors.ts";
import { type Cidr, parseNetwork } from "#base/ip.ts";

/** What of flannel's net-conf.json the pod network goes by. */
export interface NetworkConfig {
  /** The cluster's pod networks, at most one of each family. */
  readonly networks: readonly Cidr[];
  /** VXLAN network identifier. */
  readonly vni: number;
  /** UDP port of the outer packets. */
  readonly port: number;
  /** Nodes of the same L2 network are reached without encapsulation. */
  readonly directRouting: boolean;
  /** Whether the device learns from packets; off in flannel unless asked for. */
  readonly learning: boolean;
  /** MTU of the external interface to reckon with instead of its own; bytes. */
  readonly mtu?: number;
}

/** The kernel's port for vxlan, which port 0 stands for. */
const DEFAULT_PORT = 8472;

/** A configuration without a file: vxlan over these networks. */
export function defaultConfig(networks: readonly Cidr[]): NetworkConfig {
  return { networks, vni: 1, port: DEFAULT_PORT, directRouting: false, learning: false };
}

/**
 * Reads net-conf.json; without the file, the defaults.
 * @param clusterCidrs the pod networks when there is no file
 * @throws PodwireError naming the file and what is wrong
 */
export function readConfig(file: string, clusterCidrs: readonly Cidr[]): NetworkConfig {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return defaultConfig(clusterCidrs);
    throw error;
  }
  return parseConfig(text, file);
}

/**
 * Parses net-conf.json (FlannelNetworkConfig of flannel v0.28).
 * @throws PodwireError naming the file and what is wrong
 */
export function parseConfig(text: string, file: string): NetworkConfig {
  const fail = (reason: string): never => {
    throw new PodwireError("NETWORK_CONFIG", `${file}: ${reason}`, { file });
  };
  let conf: Record<string, unknown>;
  try {
    conf = JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    return fail(`not JSON: ${String(error)}`);
  }
  const backend = (conf.Backend ?? { Type: "udp" }) as Record<string, unknown>;
  if (backend.Type !== "vxlan") {
    return fail(
      `backend type ${JSON.stringify(backend.Type)} is not available, only "vxlan"${conf.Backend ? "" : ' (no Backend means "udp")'}`,
    );
  }
  if (backend.GBP === true) return fail("GBP is not available with backend vxlan here");
  const network = (key: string): Cidr[] => {
    if (typeof conf[key] !== "string") return fail(`${key} is missing`);
    try {
      return [parseNetwork(conf[key])];
    } catch (error) {
      return fail(`${key}: ${String(error)}`);
    }
  };
  const number = (key: string, fallback: number, max: number): number => {
    const value = backend[key] ?? fallback;
    if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= max) return value;
    return fail(`Backend.${key} is ${JSON.stringify(value)}, wanted a number 0-${max}`);
  };
  const networks = [
    ...(conf.EnableIPv4 === false ? [] : network("Network")),
    ...(conf.EnableIPv6 === true ? network("IPv6Network") : []),
  ];
  if (networks.length === 0) return fail("neither EnableIPv4 nor EnableIPv6");
  const mtu = number("MTU", 0, 65_535);
  return {
    networks,
    vni: number("VNI", 1, 0xffffff),
    port: number("Port", 0, 65_535) || DEFAULT_PORT,
    directRouting: backend.DirectRouting === true,
    learning: backend.Learning === true,
    ...(mtu ? { mtu } : {}),
  };
}
