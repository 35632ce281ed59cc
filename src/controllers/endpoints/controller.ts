import {
  type Change,
  type EndpointSlice,
  type Endpoints,
  isAlreadyExists,
  isNamespaceTerminating,
  isNotFound,
  keyOf,
  matchesMap,
  type Pod,
  resources,
  type Service,
} from "#api/index.ts";
import type { ControllerContext } from "../context.ts";
import { jsonEqual } from "../objects.ts";
import { settleAll } from "../podcontrol.ts";
import { planEndpoints } from "./legacy.ts";
import { endpointGroups, isSelecting } from "./model.ts";
import { managedBy, managedByLabel, planSlices, serviceNameLabel } from "./slices.ts";

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
  return !jsonEqual(relevant(object), relevant(old));
}

function isOurs(slice: EndpointSlice): boolean {
  return slice.metadata.labels?.[managedByLabel] === managedBy;
}

class EndpointsWriter {
  readonly #context: ControllerContext;
  readonly #podsIn: { get(namespace: string): Pod[] };
  readonly #servicesIn: { get(namespace: string): Service[] };
  readonly #slicesOf: { get(serviceKey: string): EndpointSlice[] };

  constructor(context: ControllerContext) {
    this.#context = context;
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

  async sync(service: Service): Promise<void> {
    if (service.metadata.deletionTimestamp !== undefined) return;
    // Slices and Endpoints of Services without a selector belong to whoever made them.
    if (!isSelecting(service)) return await this.#removeSlices(keyOf(service));
    const { selector = {} } = service.spec;
    const pods = this.#podsIn
      .get(service.metadata.namespace ?? "")
      .filter((pod) => matchesMap(selector, pod.metadata.labels));
    await settleAll([this.#writeSlices(service, pods), this.#writeEndpoints(service, pods)]);
  }

  /** The Service is gone: so are its slices and Endpoints, without waiting for the garbage collector. */
  async cleanUp(key: string): Promise<void> {
    await this.#removeSlices(key);
    const endpoints = this.#context.informer(resources.endpoints).get(key);
    if (endpoints?.metadata.labels?.["endpoints.kubernetes.io/managed-by"] !== "endpoint-controller") return;
    await this.#delete(resources.endpoints, endpoints);
  }

  async #writeSlices(service: Service, pods: readonly Pod[]): Promise<void> {
    const informer = this.#context.informer(resources.endpointSlices);
    const nodes = this.#context.informer(resources.nodes);
    const { client } = this.#context;
    const groups = endpointGroups(service, pods, (name) => nodes.get(name));
    const existing = this.#slicesOf.get(keyOf(service)).filter(isOurs);
    const plan = planSlices(service, groups, existing);
    // New endpoints are there before old ones go.
    await settleAll([
      ...plan.create.map(async (slice) => informer.assume(await client.create(resources.endpointSlices, slice))),
      ...plan.update.map(async (slice) => informer.assume(await client.update(resources.endpointSlices, slice))),
    ]);
    await settleAll(plan.remove.map((slice) => this.#delete(resources.endpointSlices, slice)));
  }

  async #writeEndpoints(service: Service, pods: readonly Pod[]): Promise<void> {
    const informer = this.#context.informer(resources.endpoints);
    const present = informer.get(keyOf(service));
    const wanted = planEndpoints(service, pods, present);
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
