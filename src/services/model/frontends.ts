import { type EndpointSlice, type Service, type ServicePort, SOURCE_ANNOTATION } from "#api/index.ts";
import type { Origin } from "#base/origin.ts";
import { protocols } from "#kernel/nft/index.ts";
import { portOf, type VirtualAddress, virtualAddresses } from "./addresses.ts";
import { type Choice, candidatesOf, chooseTargets, slicesOf } from "./candidates.ts";
import type { Action, Frontend, FrontendKind, NodeView } from "./frontend.ts";
import { healthCheckPort } from "./healthCheckPort.ts";
import { NumberedBalance, NumberedChoice } from "./numbered.ts";

/** Labels of Services and slices that a proxy looks at. */
export const proxyLabels = {
  serviceName: "kubernetes.io/service-name",
  otherProxy: "service.kubernetes.io/service-proxy-name",
  headless: "service.kubernetes.io/headless",
} as const;

/** Default of spec.sessionAffinityConfig.clientIP.timeoutSeconds (core/v1). */
const DEFAULT_AFFINITY_SECONDS = 10_800;

/** `namespace/name` of the Service that a slice belongs to, undefined when it says none. */
export function serviceOfSlice(slice: EndpointSlice): string | undefined {
  const name = slice.metadata.labels?.[proxyLabels.serviceName];
  return name ? `${slice.metadata.namespace}/${name}` : undefined;
}

/** Why a proxy has nothing to do for a Service, with the field that says so; undefined when it has (kube-proxy's selection). */
export function notProxied({ spec, metadata }: Service): { reason: string; field: string } | undefined {
  if (spec.type === "ExternalName") return { reason: "it is only a name in DNS", field: "spec.type" };
  if (spec.clusterIP === "None") return { reason: "it is headless: DNS gives its endpoints", field: "spec.clusterIP" };
  if (!spec.clusterIP) return { reason: "it has no cluster IP", field: "spec.clusterIP" };
  for (const [label, reason] of [
    [proxyLabels.otherProxy, "it is another proxy's"],
    [proxyLabels.headless, "it is labelled headless"],
  ] as const) {
    if (metadata.labels?.[label] !== undefined) return { reason, field: `metadata.labels["${label}"]` };
  }
  return undefined;
}

/** Whether a proxy has anything to do for the Service. */
export function isProxied(service: Service): boolean {
  return notProxied(service) === undefined;
}

/**
 * What each virtual address of a Service does on a node. Pure: equal input, equal output, whatever the slices' order.
 * Semantics are kube-proxy's.
 */
export function serviceFrontends(service: Service, slices: readonly EndpointSlice[], node: NodeView): Frontend[] {
  if (!isProxied(service)) return [];
  const virtual = virtualAddresses(service, node);
  const frontends: Frontend[] = [];
  for (const [index, port] of (service.spec.ports ?? []).entries()) {
    const frontend = frontendMaker(service, port, index);
    const choices = new Map<4 | 6, Choice>();
    for (const address of virtual) {
      const { family } = address.ip;
      const choice = choices.get(family) ?? choiceOf(port, slicesOf(slices, family), node);
      choices.set(family, choice);
      const made = frontend(address, choice);
      if (made) frontends.push(made);
    }
  }
  return frontends;
}

function choiceOf(port: ServicePort, slices: readonly EndpointSlice[], node: NodeView): Choice {
  return NumberedChoice.of(port, slices, node) ?? chooseTargets(candidatesOf(port, slices, node.name), node);
}

/** Makes frontends of one port of a Service; they share what they can. */
function frontendMaker(service: Service, port: ServicePort, index: number) {
  const { sessionAffinity, sessionAffinityConfig } = service.spec;
  const { timeoutSeconds = DEFAULT_AFFINITY_SECONDS } = sessionAffinityConfig?.clientIP ?? {};
  const common = {
    protocol: protocols[port.protocol ?? "TCP"],
    origin: portOrigin(service, index),
    label: portLabel(service, port),
    ...(sessionAffinity === "ClientIP" && { affinitySeconds: timeoutSeconds }),
  };
  return ({ kind, ip, sources }: VirtualAddress, choice: Choice): Frontend | undefined => {
    const number = portOf(kind, port);
    if (number === undefined) return undefined;
    const action = actionOf(service, kind, choice);
    const checked = kind === "ClusterIP" && healthCheckPort(service);
    const frontend = { kind, ip, port: number, ...common, action, choice };
    if (!sources && !checked) return frontend;
    return { ...frontend, ...(sources && { sources }), ...(checked && { healthCheckNodePort: checked }) };
  };
}

/** The field of a Service's spec that says which endpoints a kind of address leads to. */
export function policyOf({ spec }: Service, kind: FrontendKind) {
  return kind === "ClusterIP"
    ? ({ field: "spec.internalTrafficPolicy", value: spec.internalTrafficPolicy ?? "Cluster" } as const)
    : ({ field: "spec.externalTrafficPolicy", value: spec.externalTrafficPolicy ?? "Cluster" } as const);
}

function actionOf(service: Service, kind: FrontendKind, choice: Choice): Action {
  const isLocal = policyOf(service, kind).value === "Local";
  if (choice instanceof NumberedChoice && !isLocal) return new NumberedBalance(choice);
  const { cluster, local } = choice;
  if (cluster.length + local.length === 0) return { kind: "reject" };
  if (!isLocal) return { kind: "balance", targets: cluster };
  if (kind !== "ClusterIP") return { kind: "balance-local", targets: cluster, local };
  return local.length ? { kind: "balance", targets: local, isLocal: true } : { kind: "drop" };
}

function portOrigin(service: Service, index: number): Origin {
  const { namespace, name, annotations } = service.metadata;
  const source = annotations?.[SOURCE_ANNOTATION];
  return {
    kind: "Service",
    ...(namespace !== undefined && { namespace }),
    name,
    field: `spec.ports[${index}]`,
    ...(source !== undefined && { source }),
  };
}

function portLabel({ metadata: { namespace, name } }: Service, port: ServicePort): string {
  return `${namespace}/${name}${port.name ? `:${port.name}` : ""}`;
}
