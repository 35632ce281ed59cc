import type { EndpointSlice, Service } from "#api/index.ts";
import { candidatesOf, slicesOf } from "./candidates.ts";
import { isProxied } from "./frontends.ts";
import { healthCheckPort } from "./healthCheckPort.ts";

/** What a load balancer is told about a Service on a node. */
export interface HealthCheck {
  /** spec.healthCheckNodePort, where the node answers. */
  readonly port: number;
  /** Ready endpoints on this node, each address once. None: the balancer has to leave the node alone. */
  readonly localEndpoints: number;
}

/**
 * The health check of a Service: load balancers with externalTrafficPolicy Local have one, to find the nodes with
 * endpoints. Undefined for all others. Endpoints that terminate do not count, so that a balancer turns away while they
 * still serve (KEP-1669).
 */
export function healthCheck(
  service: Service,
  slices: readonly EndpointSlice[],
  nodeName: string,
): HealthCheck | undefined {
  const { ports = [] } = service.spec;
  const port = healthCheckPort(service);
  if (port === undefined || !isProxied(service)) return undefined;
  const local = ([4, 6] as const).map((family) => {
    const candidates = ports.flatMap((port) => candidatesOf(port, slicesOf(slices, family), nodeName));
    const ready = candidates.filter(({ isReady, target }) => isReady && target.isLocal);
    return new Set(ready.map(({ target }) => target.ip.bytes.join("."))).size;
  });
  // A pod has an address of each family: it is one endpoint all the same.
  return { port, localEndpoints: Math.max(...local) };
}
