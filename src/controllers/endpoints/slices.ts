import {
  type Endpoint,
  type EndpointPort,
  type EndpointSlice,
  type OwnerReference,
  resources,
  type Service,
} from "#api/index.ts";
import { controllerReference, jsonEqual } from "../objects.ts";
import { type EndpointGroup, familiesOf, isHeadless } from "./model.ts";

/** Who manages the slices (well-known values of discovery.k8s.io). */
export const managedByLabel = "endpointslice.kubernetes.io/managed-by";
export const managedBy = "endpointslice-controller.k8s.io";
export const serviceNameLabel = "kubernetes.io/service-name";
export const headlessLabel = "service.kubernetes.io/headless";

/** Endpoints in one slice (kube-controller-manager's --max-endpoints-per-slice). */
export const maxEndpointsPerSlice = 100;

/** How the slices of one Service change. */
export interface SlicePlan {
  readonly create: readonly EndpointSlice[];
  readonly update: readonly EndpointSlice[];
  readonly remove: readonly EndpointSlice[];
}

/** Whose slices are planned. */
export interface SliceSource {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly owner: OwnerReference;
}

/** The changes that bring a Service's slices in order. */
export function planSlices(
  service: Service,
  groups: readonly EndpointGroup[],
  existing: readonly EndpointSlice[],
): SlicePlan {
  const { name, namespace = "" } = service.metadata;
  const owner = controllerReference(resources.services, service);
  const source = { name, namespace, labels: sliceLabels(service), owner };
  return planSlicesOf(source, withPlaceholders(service, groups), existing);
}

/**
 * The fewest changes from the slices that are to the endpoints that shall be: an endpoint stays in its slice, the
 * room that others left is filled before a new slice is made, an empty slice goes unless it is the family's last.
 */
export function planSlicesOf(
  source: SliceSource,
  groups: readonly EndpointGroup[],
  existing: readonly EndpointSlice[],
): SlicePlan {
  const left = new Set(existing.filter((slice) => slice.metadata.deletionTimestamp === undefined));
  const plan = { create: [] as EndpointSlice[], update: [] as EndpointSlice[], remove: [] as EndpointSlice[] };
  for (const group of groups) {
    const slices = [...left].filter(
      (slice) => slice.addressType === group.addressType && samePorts(slice, group.ports),
    );
    for (const slice of slices) left.delete(slice);
    fillSlices(source, group, slices, plan);
  }
  plan.remove.push(...left);
  return plan;
}

/** A Service without endpoints in a family has one empty slice there. */
function withPlaceholders(service: Service, groups: readonly EndpointGroup[]): EndpointGroup[] {
  const missing = familiesOf(service).filter((family) => !groups.some(({ addressType }) => addressType === family));
  return [...groups, ...missing.map((addressType) => ({ addressType, ports: [], endpoints: [] }))];
}

function fillSlices(
  source: SliceSource,
  group: EndpointGroup,
  slices: readonly EndpointSlice[],
  plan: { create: EndpointSlice[]; update: EndpointSlice[]; remove: EndpointSlice[] },
): void {
  const waiting = new Map(group.endpoints.map((endpoint) => [identityOf(endpoint), endpoint]));
  const contents = slices.map((slice) => ({ slice, endpoints: takeKnown(slice, waiting) }));
  for (const content of contents.sort((a, b) => b.endpoints.length - a.endpoints.length)) {
    moveInto(content.endpoints, waiting);
  }
  while (waiting.size > 0 || (contents.length === 0 && plan.create.every((slice) => !isFor(slice, group)))) {
    const endpoints: Endpoint[] = [];
    moveInto(endpoints, waiting);
    plan.create.push(newSlice(source, group, endpoints));
  }
  const keepOne = contents.every(({ endpoints }) => endpoints.length === 0) && group.endpoints.length === 0;
  for (const [i, { slice, endpoints }] of contents.entries()) {
    if (endpoints.length === 0 && !(keepOne && i === 0)) plan.remove.push(slice);
    else if (!jsonEqual(slice.endpoints ?? [], endpoints) || !hasLabels(slice, source.labels)) {
      plan.update.push({ ...slice, metadata: { ...slice.metadata, labels: source.labels }, endpoints });
    }
  }
}

/** The wanted endpoints that a slice already holds, in its order and in their present state. */
function takeKnown(slice: EndpointSlice, waiting: Map<string, Endpoint>): Endpoint[] {
  return (slice.endpoints ?? []).flatMap((endpoint) => {
    const identity = identityOf(endpoint);
    const wanted = waiting.get(identity);
    waiting.delete(identity);
    return wanted ? [wanted] : [];
  });
}

function moveInto(endpoints: Endpoint[], waiting: Map<string, Endpoint>): void {
  for (const [identity, endpoint] of waiting) {
    if (endpoints.length >= maxEndpointsPerSlice) return;
    waiting.delete(identity);
    endpoints.push(endpoint);
  }
}

/** A pod with its addresses. */
function identityOf(endpoint: Endpoint): string {
  return `${endpoint.targetRef?.uid ?? ""} ${endpoint.addresses.join(",")}`;
}

function isFor(slice: EndpointSlice, group: EndpointGroup): boolean {
  return slice.addressType === group.addressType && samePorts(slice, group.ports);
}

function samePorts(slice: EndpointSlice, ports: readonly EndpointPort[]): boolean {
  const sorted = (list: readonly EndpointPort[]) => list.map((port) => JSON.stringify(portKey(port))).sort();
  return jsonEqual(sorted(slice.ports ?? []), sorted(ports));
}

function portKey({ name = "", protocol = "TCP", port, appProtocol }: EndpointPort): unknown {
  return [name, protocol, port, appProtocol];
}

function hasLabels(slice: EndpointSlice, labels: Readonly<Record<string, string>>): boolean {
  return jsonEqual(slice.metadata.labels ?? {}, labels);
}

/** The Service's labels with those that say whose the slice is. */
function sliceLabels(service: Service): Record<string, string> {
  const { [headlessLabel]: _, ...own } = service.metadata.labels ?? {};
  return {
    ...own,
    ...(isHeadless(service) ? { [headlessLabel]: "" } : {}),
    [serviceNameLabel]: service.metadata.name,
    [managedByLabel]: managedBy,
  };
}

function newSlice(source: SliceSource, group: EndpointGroup, endpoints: readonly Endpoint[]): EndpointSlice {
  const { name, namespace, labels, owner } = source;
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "", generateName: `${name}-`, namespace, labels, ownerReferences: [owner] },
    addressType: group.addressType,
    endpoints,
    ports: group.ports,
  };
}
