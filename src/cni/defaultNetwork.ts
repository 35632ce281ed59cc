import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { JsonObject } from "./config/json.ts";
import { configFiles } from "./config/network.ts";

/** Name of the file that a node gets when nobody configures another network. */
export const DEFAULT_CONFLIST_FILE = "10-podwire.conflist";

/** Network name of the default configuration; flannel's has the same. */
export const DEFAULT_NETWORK_NAME = "cbr0";

/**
 * The default configuration of a node's pods: a bridge with the node's subnet.
 * @param podCidrs the node's spec.podCIDRs, one of each family at most
 * @param mtu bytes: the underlay's less 50 for vxlan
 */
export function defaultConflist(podCidrs: readonly string[], mtu: number): JsonObject {
  return {
    cniVersion: "1.0.0",
    name: DEFAULT_NETWORK_NAME,
    plugins: [
      {
        type: "bridge",
        bridge: "cni0",
        isGateway: true,
        isDefaultGateway: true,
        // What leaves the cluster is masqueraded once per node, by the pod network.
        ipMasq: false,
        hairpinMode: true,
        mtu,
        ipam: { type: "host-local", ranges: podCidrs.map((subnet) => [{ subnet }]) },
      },
    ],
  };
}

/**
 * Writes the default configuration into a directory that has no configuration yet; one that a person put there, or
 * took the default away for, stays in force.
 * @returns whether it was written
 */
export function ensureDefaultNetwork(directory: string, podCidrs: readonly string[], mtu: number): boolean {
  if (configFiles(directory).length > 0) return false;
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  const file = join(directory, DEFAULT_CONFLIST_FILE);
  // The draft's ending is none of those that are looked at.
  writeFileSync(`${file}.draft`, `${JSON.stringify(defaultConflist(podCidrs, mtu), null, 2)}\n`, { mode: 0o644 });
  renameSync(`${file}.draft`, file);
  return true;
}
