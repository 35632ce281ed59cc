import type { Cidr, Ip } from "#base/ip.ts";
import { protocols } from "#kernel/nft/index.ts";
import type { Frontend, Target } from "../../model/index.ts";

/** A virtual address and its port. */
export interface Address {
  readonly ip: Ip;
  readonly port: number;
}

/** One port of a Service in one family, as the chains of iptables see it: all its addresses together. */
export interface ServicePort {
  /** `namespace/name:port` */
  readonly label: string;
  /** In small letters. */
  readonly protocol: string;
  readonly clusterIps: readonly Address[];
  readonly externalIps: readonly Address[];
  readonly loadBalancers: readonly Address[];
  /** Who may come by a load balancer; absent: everybody. */
  readonly sources?: readonly Cidr[];
  readonly nodePort?: number;
  readonly healthCheckNodePort?: number;
  /** False: everything is refused. */
  readonly hasEndpoints: boolean;
  readonly isInternalLocal: boolean;
  readonly isExternalLocal: boolean;
  /** Endpoints for traffic policy Cluster; empty where nothing asks for them. */
  readonly cluster: readonly Target[];
  /** Endpoints for traffic policy Local; empty where nothing asks for them. */
  readonly local: readonly Target[];
  readonly affinitySeconds?: number;
}

/** The ports of a Service in a family, from its frontends. Pure. */
export function servicePorts(frontends: readonly Frontend[], family: 4 | 6): ServicePort[] {
  const groups = new Map<string, Frontend[]>();
  for (const frontend of frontends) {
    if (frontend.ip.family !== family) continue;
    const key = `${frontend.label} ${frontend.protocol}`;
    const group = groups.get(key);
    if (group) group.push(frontend);
    else groups.set(key, [frontend]);
  }
  return [...groups.values()].map(servicePort);
}

function servicePort(frontends: readonly [Frontend, ...Frontend[]] | readonly Frontend[]): ServicePort {
  const [first] = frontends as readonly [Frontend, ...Frontend[]];
  const of = (kind: Frontend["kind"]) => frontends.filter((frontend) => frontend.kind === kind);
  const sources = of("LoadBalancer").find((frontend) => frontend.sources)?.sources;
  const [nodePort] = of("NodePort");
  const healthCheckNodePort = frontends.find((frontend) => frontend.healthCheckNodePort)?.healthCheckNodePort;
  return {
    label: first.label,
    protocol: protocolName(first.protocol),
    clusterIps: of("ClusterIP"),
    externalIps: of("ExternalIP"),
    loadBalancers: of("LoadBalancer"),
    ...(sources && { sources }),
    ...(nodePort && { nodePort: nodePort.port }),
    ...(healthCheckNodePort && { healthCheckNodePort }),
    ...(first.affinitySeconds !== undefined && { affinitySeconds: first.affinitySeconds }),
    ...endpointsOf(frontends),
  };
}

function endpointsOf(frontends: readonly Frontend[]) {
  const found = {
    hasEndpoints: false,
    isInternalLocal: false,
    isExternalLocal: false,
    cluster: [] as readonly Target[],
    local: [] as readonly Target[],
  };
  for (const { action } of frontends) {
    if (action.kind === "reject") continue;
    found.hasEndpoints = true;
    if (action.kind === "balance-local") {
      found.isExternalLocal = true;
      found.cluster = action.targets;
      found.local = action.local;
    } else if (action.kind === "drop") found.isInternalLocal = true;
    else if (action.isLocal) {
      found.isInternalLocal = true;
      found.local = action.targets;
    } else found.cluster = action.targets;
  }
  return found;
}

function protocolName(number: number): string {
  const name = Object.entries(protocols).find(([, value]) => value === number)?.[0];
  if (name === undefined) throw new RangeError(`protocol ${number} has no Services`);
  return name.toLowerCase();
}
