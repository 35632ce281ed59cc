import type { Cidr, Ip } from "#base/ip.ts";
import type { Origin } from "#base/origin.ts";

/** An address and port that answers for a Service: what an endpoint of a slice is to one of the Service's ports. */
export interface Target {
  readonly ip: Ip;
  readonly port: number;
  /** Runs on this node. */
  readonly isLocal: boolean;
  /** Runs on another node; neither when nobody says where. */
  readonly isElsewhere?: boolean;
  /** The EndpointSlice and endpoint that it comes from. */
  readonly origin: Origin;
}

/** Why a virtual address exists. */
export type FrontendKind = "ClusterIP" | "NodePort" | "ExternalIP" | "LoadBalancer";

/** What one virtual address and port does on this node. */
export interface Frontend {
  readonly kind: FrontendKind;
  /** Of a NodePort: one address of the node. There is one frontend for each address at which NodePorts answer. */
  readonly ip: Ip;
  /** IANA number. */
  readonly protocol: number;
  readonly port: number;
  /** The port of the Service: `spec.ports[0]`, … */
  readonly origin: Origin;
  /** `namespace/name:port`, as kube-proxy's comments have it; without `:port` where the port has no name. */
  readonly label: string;
  readonly action: Action;
  /** ClientIP affinity: how long a client stays with its endpoint, in s. */
  readonly affinitySeconds?: number;
  /** Who may use it, before anything else is asked: connections of others are dropped. Absent: everybody. */
  readonly sources?: readonly Cidr[];
  /** Of a ClusterIP: the port at which load balancers ask about the Service (spec.healthCheckNodePort). */
  readonly healthCheckNodePort?: number;
  /** What its endpoints were chosen from: one for all frontends of a port and family. */
  readonly choice: {
    /**
     * Every endpoint that still serves, chosen or not. Connections that lead to one of them go on, as TCP's do, when
     * policy, hints or readiness change.
     */
    readonly serving: readonly Target[];
  };
}

/**
 * What happens to a new connection.
 * - `balance`: to one of the targets, at random; `isLocal` when internalTrafficPolicy Local chose them.
 * - `balance-local`: from outside to one of the targets on this node, `local` (dropped when there is none); from pods
 *   and from the node itself to any of `targets`, as if they had gone out to a load balancer and come back.
 * - `reject`: no endpoints. `drop`: none that the traffic policy allows.
 */
export type Action =
  | { readonly kind: "balance"; readonly targets: readonly Target[]; readonly isLocal?: true }
  | { readonly kind: "balance-local"; readonly targets: readonly Target[]; readonly local: readonly Target[] }
  | { readonly kind: "reject" }
  | { readonly kind: "drop" };

/** The node for which the model is made. */
export interface NodeView {
  readonly name: string;
  /** Addresses of the node itself, those of its status. */
  readonly addresses: readonly Ip[];
  /** Addresses at which NodePorts answer. Absent: {@link addresses}. */
  readonly nodePortAddresses?: readonly Ip[];
  /** Its label topology.kubernetes.io/zone. */
  readonly zone?: string | undefined;
}

/** An address, protocol and port of a Service. */
export type ServiceAddress = Pick<Frontend, "ip" | "protocol" | "port">;

/**
 * Identity of a frontend's address, protocol and port; two Services cannot both have it. For Maps, not for people: a
 * character is a byte, each part has four or sixteen. So it is the key of a concatenation in nftables too.
 */
export function addressKey({ ip, protocol, port }: ServiceAddress): string {
  // There are some for each Service: no Buffer is made for them.
  return String.fromCharCode(...ip.bytes, protocol, 0, 0, 0, port >> 8, port & 255, 0, 0);
}
