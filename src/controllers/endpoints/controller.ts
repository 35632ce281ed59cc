import {
  type Change,
  type EndpointSlice,
  type Endpoints,
  isAlreadyExists,
  isNamespaceTerminating,
  isNotFound,
  keyOf,
  matchesMap,
  type Node,
  type Pod,
  referenceTo,
  resources,
  type Service,
} from "#api/index.ts";
import { equalJson } from "#base/json.ts";
import type { ControllerContext } from "../context.ts";
import { settleAll } from "../podcontrol.ts";
import { asksForTopology, withHints } from "./hints.ts";
import { planEndpoints } from "./legacy.ts";
import { endpointGroups, isSelecting } from "./model.ts";
import { managedBy, managedByLabel, planSlices, serviceNameLabel } from "./slices.ts";
import { TriggerTimes } from "./trigger.ts";

const zoneLabel = "topology.kubernetes.io/zone";

/** Keeps EndpointSlices and Endpoints of Services with selectors. */
export function endpointsController(context: ControllerContext): void {
  const services = context.informer(resources.services);
  const pods = context.informer(resources.pods);
  const slices = context.informer(resources.endpointSlices);
  const endpoints = context.informer(resources.endpoints);
  const nodes = context.informer(resources.nodes);
  const writer = new EndpointsWriter(context);

  const queue = context.control({
    name: "endpoints",
    needs: [services, pods, slices, endpoints, nodes],
    handle: async (key) => {
      const service = services.get(key);
      try {
        if (service) await writer.sync(service);
        else await writer.cleanUp(key);
      } catch (error) {
        if (!isNamespaceTerminating(error)) throw error;
      }
    },
  });

  services.onChange(({ object }) => queue.add(keyOf(object)));
  pods.onChange((change) => {
    if (!concernsEndpoints(change)) return;
    for (const key of writer.servicesOf(change)) queue.add(key);
  });
  // Ours changed by somebody else, or a write of ours that the cache has taken in: both end in "nothing to do".
  slices.onChange(({ object }) => {
    const name = object.metadata.labels?.[serviceNameLabel];
    if (name !== undefined && isOurs(object)) queue.add(`${object.metadata.namespace}/${name}`);
  });
  endpoints.onChange(({ object }) => queue.add(keyOf(object)));
  nodes.onChange(({ type, object, old }) => {
    if (type === "MODIFIED" && equalJson(placeOf(object), placeOf(old))) return;
    for (const key of writer.servicesOn(object.metadata.name)) queue.add(key);
  });
}

/** What of a node stands in endpoints, or decides how they are shared out. */
function placeOf(node: Node | undefined): unknown {
  const ready = node?.status?.conditions?.find(({ type }) => type === "Ready")?.status;
  return [node?.metadata.labels?.[zoneLabel], node?.status?.allocatable?.["cpu"], ready];
}

/** Whether a pod's change can change endpoints: most status updates cannot. */
function concernsEndpoints({ type, object, old }: Change<Pod>): boolean {
  if (type !== "MODIFIED" || !old) return true;
  const relevant = ({ metadata, spec, status }: Pod) => [
    metadata.labels,
    metadata.deletionTimestamp,
    spec.nodeName,
    status?.podIPs,
    status?.podIP,
    status?.phase,
    status?.conditions?.find(({ type: condition }) => condition === "Ready")?.status,
  ];
  return !equalJson(relevant(object), relevant(old));
}

function isOurs(slice: EndpointSlice): boolean {
  return slice.metadata.labels?.[managedByLabel] === managedBy;
}

class EndpointsWriter {
  readonly #context: ControllerContext;
  readonly #podsIn: { get(namespace: string): Pod[] };
  readonly #podsOn: { get(node: string): Pod[] };
  readonly #servicesIn: { get(namespace: string): Service[] };
  readonly #slicesOf: { get(serviceKey: string): EndpointSlice[] };

  readonly #triggerTimes = new TriggerTimes();
  /** Services whose endpoints carry hints by topology, with why they do not. */
  readonly #topology = new Map<string, string>();

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#podsOn = context.informer(resources.pods).index(({ spec }) => [spec.nodeName ?? ""]);
    this.#podsIn = context.informer(resources.pods).index(({ metadata }) => [metadata.namespace ?? ""]);
    this.#servicesIn = context.informer(resources.services).index(({ metadata }) => [metadata.namespace ?? ""]);
    this.#slicesOf = context
      .informer(resources.endpointSlices)
      .index(({ metadata }) => [`${metadata.namespace}/${metadata.labels?.[serviceNameLabel] ?? ""}`]);
  }

  /** Services that select the pod, or did before the change. */
  servicesOf({ object, old }: Change<Pod>): string[] {
    const selecting = this.#servicesIn.get(object.metadata.namespace ?? "").filter((service) => {
      const { selector = {} } = service.spec;
      if (!isSelecting(service)) return false;
      return matchesMap(selector, object.metadata.labels) || (old && matchesMap(selector, old.metadata.labels));
    });
    return selecting.map(keyOf);
  }

  /** Services with pods on a node, and those that share their endpoints out among all zones. */
  servicesOn(node: string): string[] {
    const keys = this.#podsOn.get(node).flatMap((object) => this.servicesOf({ type: "ADDED", object }));
    const shared = this.#context.informer(resources.services).list().filter(asksForTopology).map(keyOf);
    return [...new Set([...keys, ...shared])];
  }

  async sync(service: Service): Promise<void> {
    if (service.metadata.deletionTimestamp !== undefined) return;
    // Slices and Endpoints of Services without a selector belong to whoever made them.
    if (!isSelecting(service)) return await this.#removeSlices(keyOf(service));
    const { selector = {} } = service.spec;
    const pods = this.#podsIn
      .get(service.metadata.namespace ?? "")
      .filter((pod) => matchesMap(selector, pod.metadata.labels));
    const triggerTime = this.#triggerTimes.next(keyOf(service), service, pods);
    await settleAll([this.#writeSlices(service, pods, triggerTime), this.#writeEndpoints(service, pods, triggerTime)]);
  }

  /** The Service is gone: so are its slices and Endpoints, without waiting for the garbage collector. */
  async cleanUp(key: string): Promise<void> {
    this.#triggerTimes.forget(key);
    this.#topology.delete(key);
    await this.#removeSlices(key);
    const endpoints = this.#context.informer(resources.endpoints).get(key);
    if (endpoints?.metadata.labels?.["endpoints.kubernetes.io/managed-by"] !== "endpoint-controller") return;
    await this.#delete(resources.endpoints, endpoints);
  }

  async #writeSlices(service: Service, pods: readonly Pod[], triggerTime: string | undefined): Promise<void> {
    const informer = this.#context.informer(resources.endpointSlices);
    const nodes = this.#context.informer(resources.nodes);
    const { client } = this.#context;
    const bare = endpointGroups(service, pods, (name) => nodes.get(name));
    const hinted = withHints(service, bare, asksForTopology(service) ? nodes.list() : []);
    this.#sayTopology(service, hinted.topology, hinted.problem);
    const existing = this.#slicesOf.get(keyOf(service)).filter(isOurs);
    const plan = planSlices(service, hinted.groups, existing, triggerTime);
    const changes = this.#context.metrics.counter(
      "endpoint_slice_controller_changes",
      "Number of EndpointSlice changes",
    );
    for (const [operation, slices] of Object.entries(plan)) {
      if (slices.length > 0) changes.inc({ operation: operation === "remove" ? "delete" : operation }, slices.length);
    }
    // New endpoints are there before old ones go.
    await settleAll([
      ...plan.create.map(async (slice) => informer.assume(await client.create(resources.endpointSlices, slice))),
      ...plan.update.map(async (slice) => informer.assume(await client.update(resources.endpointSlices, slice))),
    ]);
    await settleAll(plan.remove.map((slice) => this.#delete(resources.endpointSlices, slice)));
  }

  /** Says once when hints by topology begin or end, or why there are none. */
  #sayTopology(service: Service, given: boolean, problem: string | undefined): void {
    const key = keyOf(service);
    const before = this.#topology.get(key);
    const now = problem ?? (given ? "" : undefined);
    if (now === before) return;
    if (now === undefined) this.#topology.delete(key);
    else this.#topology.set(key, now);
    const family = service.spec.ipFamilies?.[0] ?? "IPv4";
    const recorder = this.#context.recorder("endpoint-slice-controller");
    const about = referenceTo(resources.services, service);
    const enabled = `Topology Aware Hints has been enabled, addressType: ${family}`;
    const disabled = `Topology Aware Hints has been disabled, addressType: ${family}`;
    if (now === "") recorder.event(about, "Normal", "TopologyAwareHintsEnabled", enabled);
    else if (now !== undefined) recorder.event(about, "Warning", "TopologyAwareHintsDisabled", now);
    else if (before === "") recorder.event(about, "Warning", "TopologyAwareHintsDisabled", disabled);
  }

  async #writeEndpoints(service: Service, pods: readonly Pod[], triggerTime: string | undefined): Promise<void> {
    const informer = this.#context.informer(resources.endpoints);
    const present = informer.get(keyOf(service));
    const wanted = planEndpoints(service, pods, present, triggerTime);
    if (!wanted) return;
    const { client } = this.#context;
    try {
      const write = present ? client.update(resources.endpoints, wanted) : client.create(resources.endpoints, wanted);
      informer.assume(await write);
    } catch (error) {
      // Somebody was quicker, and the watch brings theirs: the queue comes again.
      if (!isAlreadyExists(error)) throw error;
      informer.assume(
        await client.get<Endpoints>(resources.endpoints, service.metadata.name, service.metadata.namespace),
      );
    }
  }

  async #removeSlices(key: string): Promise<void> {
    const slices = this.#slicesOf.get(key).filter(isOurs);
    await settleAll(slices.map((slice) => this.#delete(resources.endpointSlices, slice)));
  }

  async #delete(of: typeof resources.endpointSlices | typeof resources.endpoints, object: Endpoints | EndpointSlice) {
    const { name, namespace, uid } = object.metadata;
    try {
      await this.#context.client.delete<Endpoints | EndpointSlice>(of, name, namespace, { preconditions: { uid } });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}
