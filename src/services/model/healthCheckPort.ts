import type { Service } from "#api/index.ts";

/** The port at which load balancers ask about a Service; only those with externalTrafficPolicy Local have one. */
export function healthCheckPort({ spec }: Service): number | undefined {
  const { type, externalTrafficPolicy, healthCheckNodePort } = spec;
  if (type !== "LoadBalancer" || externalTrafficPolicy !== "Local") return undefined;
  return healthCheckNodePort || undefined;
}
