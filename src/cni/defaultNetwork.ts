import type { JsonObject } from "./config/json.ts";

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
