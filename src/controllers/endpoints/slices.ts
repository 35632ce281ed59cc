import {
  type Endpoint,
  type EndpointPort,
  type EndpointSlice,
  type OwnerReference,
  resources,
  type Service,
} from "#api/index.ts";
import { equalJson } from "#base/json.ts";
import { controllerReference } from "../objects.ts";
import { type EndpointGroup, familiesOf, isHeadless } from "./model.ts";

/** Label of who manages a slice (discovery.k8s.io). */
export const managedByLabel = "endpointslice.kubernetes.io/managed-by";
/** Its value for the slices of this controller. */
export const managedBy = "endpointslice-controller.k8s.io";
/** Label of the Service that a slice belongs to. */
export const serviceNameLabel = "kubernetes.io/service-name";
/** Label of the slices of a Service without an address of its own. */
export const headlessLabel = "service.kubernetes.io/headless";
/** When the change happened that a slice or Endpoints object was last written for. */
export const triggerTimeAnnotation = "endpoints.kubernetes.io/last-change-trigger-time";

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
  /** RFC 3339; absent when the change's time is not known. */
  readonly triggerTime?: string | undefined;
}

/** The changes that bring a Service's slices in order. */
export function planSlices(
  service: Service,
  groups: readonly EndpointGroup[],
  existing: readonly EndpointSlice[],
  triggerTime?: string,
): SlicePlan {
  const { name, namespace = "" } = service.metadata;
  const owner = controllerReference(resources.services, service);
  const source = { name, namespace, labels: sliceLabels(service), owner, triggerTime };
  return planSlicesOf(source, withPlaceholders(service, groups), existing);
}

/**
 * The fewest changes from the slices that are to the endpoints that shall be: an endpoint stays in its slice; what is
 * new goes into slices that are written anyway, then into the one other slice that it fits best, then into new ones; a
 * slice that would go becomes one that is needed. Source: the reconciler of k8s.io/endpointslice.
 */
export function planSlicesOf(
  source: SliceSource,
  groups: readonly EndpointGroup[],
  existing: readonly EndpointSlice[],
): SlicePlan {
  const left = new Set(existing.filter((slice) => slice.metadata.deletionTimestamp === undefined));
  const plan = { create: [] as EndpointSlice[], update: [] as EndpointSlice[], remove: [] as EndpointSlice[] };
  for (const group of groups) {
    const slices = [...left].filter((slice) => isFor(slice, group));
    for (const slice of slices) left.delete(slice);
    planGroup(source, group, slices, plan);
  }
  plan.remove.push(...left);
  return reuse(source, plan);
}

/** A Service without endpoints in a family has one empty slice there. */
function withPlaceholders(service: Service, groups: readonly EndpointGroup[]): EndpointGroup[] {
  const missing = familiesOf(service).filter((family) => !groups.some(({ addressType }) => addressType === family));
  return [...groups, ...missing.map((addressType) => ({ addressType, ports: [], endpoints: [] }))];
}

interface Draft {
  readonly slice: EndpointSlice;
  readonly endpoints: Endpoint[];
  written: boolean;
}

function planGroup(
  source: SliceSource,
  group: EndpointGroup,
  slices: readonly EndpointSlice[],
  plan: { create: EndpointSlice[]; update: EndpointSlice[]; remove: EndpointSlice[] },
): void {
  const waiting = new Map(group.endpoints.map((endpoint) => [identityOf(endpoint), endpoint]));
  const drafts = slices.map((slice): Draft => {
    const endpoints = takeKnown(slice, waiting);
    const same = equalJson(slice.endpoints ?? [], endpoints) && hasLabels(slice, source.labels);
    return { slice, endpoints, written: !same };
  });
  const fullestFirst = drafts.filter(({ written }) => written).sort((a, b) => b.endpoints.length - a.endpoints.length);
  for (const draft of fullestFirst) moveInto(draft.endpoints, waiting);
  const fitting = waiting.size > 0 ? bestFit(drafts, waiting.size) : undefined;
  if (fitting) {
    moveInto(fitting.endpoints, waiting);
    fitting.written = true;
  }
  while (waiting.size > 0 || (drafts.length === 0 && group.endpoints.length === 0)) {
    const endpoints: Endpoint[] = [];
    moveInto(endpoints, waiting);
    plan.create.push(newSlice(source, group, endpoints));
    if (endpoints.length === 0) break;
  }
  const keepOne = group.endpoints.length === 0;
  for (const [i, { slice, endpoints, written }] of drafts.entries()) {
    if (endpoints.length === 0 && !(keepOne && i === 0)) plan.remove.push(slice);
    else if (written) plan.update.push(changed(source, slice, endpoints));
  }
}

/** The untouched slice that `count` more fill most; none when they fit into none. */
function bestFit(drafts: readonly Draft[], count: number): Draft | undefined {
  const room = (draft: Draft) => maxEndpointsPerSlice - draft.endpoints.length - count;
  const fitting = drafts.filter((draft) => !draft.written && room(draft) >= 0);
  return fitting.sort((a, b) => room(a) - room(b))[0];
}

/** New slices take the place of those of their family that would go: an update costs less than both. */
function reuse(source: SliceSource, plan: SlicePlan): SlicePlan {
  const create = [...plan.create];
  const update = [...plan.update];
  const remove = plan.remove.filter((slice) => {
    const i = create.findIndex(({ addressType }) => addressType === slice.addressType);
    const own = slice.metadata.ownerReferences?.some(({ uid }) => uid === source.owner.uid) ?? false;
    if (i < 0 || !own) return true;
    const [fresh] = create.splice(i, 1) as [EndpointSlice];
    update.push({ ...changed(source, slice, fresh.endpoints), ports: fresh.ports ?? [] });
    return false;
  });
  return { create, update, remove };
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
  return equalJson(sorted(slice.ports ?? []), sorted(ports));
}

function portKey({ name = "", protocol = "TCP", port, appProtocol }: EndpointPort): unknown {
  return [name, protocol, port, appProtocol];
}

function hasLabels(slice: EndpointSlice, labels: Readonly<Record<string, string>>): boolean {
  return equalJson(slice.metadata.labels ?? {}, labels);
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

function changed(source: SliceSource, slice: EndpointSlice, endpoints: readonly Endpoint[]): EndpointSlice {
  const { labels, triggerTime } = source;
  return { ...slice, metadata: { ...slice.metadata, labels, ...annotated(slice.metadata, triggerTime) }, endpoints };
}

/** Annotations with the time of this change in place of the last one's. */
export function annotated(
  metadata: { readonly annotations?: Readonly<Record<string, string>> },
  triggerTime: string | undefined,
): { annotations?: Record<string, string> } {
  const { [triggerTimeAnnotation]: before, ...rest } = metadata.annotations ?? {};
  const annotations = triggerTime === undefined ? rest : { ...rest, [triggerTimeAnnotation]: triggerTime };
  return Object.keys(annotations).length > 0 || before !== undefined ? { annotations } : {};
}

function newSlice(source: SliceSource, group: EndpointGroup, endpoints: readonly Endpoint[]): EndpointSlice {
  const { name, namespace, labels, owner, triggerTime } = source;
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: "",
      generateName: `${name}-`,
      namespace,
      labels,
      ...annotated({}, triggerTime),
      ownerReferences: [owner],
    },
    addressType: group.addressType,
    endpoints,
    ports: group.ports,
  };
}
