import {
  type EndpointAddress,
  type EndpointSlice,
  type Endpoints,
  isNamespaceTerminating,
  isNotFound,
  keyOf,
  resources,
  type Service,
} from "#api/index.ts";
import type { ControllerContext } from "../context.ts";
import { controllerReference } from "../objects.ts";
import { settleAll } from "../podcontrol.ts";
import { type EndpointGroup, familyOf } from "./model.ts";
import { managedByLabel, planSlicesOf, type SlicePlan, serviceNameLabel } from "./slices.ts";

/** Who manages slices made from Endpoints written by hand. */
export const mirroredBy = "endpointslicemirroring-controller.k8s.io";
const skipLabel = "endpointslice.kubernetes.io/skip-mirror";
const leaderAnnotation = "control-plane.alpha.kubernetes.io/leader";

/** Addresses per subset that are mirrored (kube-controller-manager's --mirroring-max-endpoints-per-subset). */
const maxPerSubset = 1000;

/** Makes EndpointSlices of Endpoints that people write for Services without a selector. */
export function mirrorController(context: ControllerContext): void {
  const services = context.informer(resources.services);
  const endpoints = context.informer(resources.endpoints);
  const slices = context.informer(resources.endpointSlices);
  const slicesOf = slices.index(({ metadata }) =>
    metadata.labels?.[managedByLabel] === mirroredBy
      ? [`${metadata.namespace}/${metadata.labels[serviceNameLabel] ?? ""}`]
      : [],
  );
  const { client } = context;
  const queue = context.control({
    name: "endpoints-mirror",
    needs: [services, endpoints, slices],
    handle: async (key) => {
      const plan = planMirror(services.get(key), endpoints.get(key), slicesOf.get(key));
      const of = resources.endpointSlices;
      try {
        await settleAll([
          ...plan.create.map(async (slice) => slices.assume(await client.create(of, slice))),
          ...plan.update.map(async (slice) => slices.assume(await client.update(of, slice))),
        ]);
        await settleAll(
          plan.remove.map(async ({ metadata }) => {
            await client.delete(of, metadata.name, metadata.namespace).catch((error: unknown) => {
              if (!isNotFound(error)) throw error;
            });
          }),
        );
      } catch (error) {
        if (!isNamespaceTerminating(error)) throw error;
      }
    },
  });
  services.onChange(({ object }) => queue.add(keyOf(object)));
  endpoints.onChange(({ object }) => queue.add(keyOf(object)));
  slices.onChange(({ object }) => {
    const { labels, namespace } = object.metadata;
    if (labels?.[managedByLabel] === mirroredBy) queue.add(`${namespace}/${labels[serviceNameLabel] ?? ""}`);
  });
}

/** The slices for Endpoints of that name, none when they are generated or ask to be left alone. */
export function planMirror(
  service: Service | undefined,
  endpoints: Endpoints | undefined,
  existing: readonly EndpointSlice[],
): SlicePlan {
  const mirrored = service && endpoints && Object.keys(service.spec.selector ?? {}).length === 0;
  if (!mirrored || isExcluded(endpoints)) return { create: [], update: [], remove: existing };
  const { name, namespace = "", labels = {} } = endpoints.metadata;
  const source = {
    name,
    namespace,
    labels: { ...labels, [serviceNameLabel]: name, [managedByLabel]: mirroredBy },
    owner: controllerReference(resources.endpoints, endpoints),
  };
  return planSlicesOf(source, mirrorGroups(endpoints), existing);
}

function isExcluded({ metadata }: Endpoints): boolean {
  return metadata.labels?.[skipLabel] === "true" || metadata.annotations?.[leaderAnnotation] !== undefined;
}

/** One group per subset and family. */
function mirrorGroups(endpoints: Endpoints): EndpointGroup[] {
  return (endpoints.subsets ?? []).flatMap(({ addresses = [], notReadyAddresses = [], ports = [] }) => {
    const all = [
      ...addresses.map((address) => ({ address, ready: true })),
      ...notReadyAddresses.map((address) => ({ address, ready: false })),
    ].slice(0, maxPerSubset);
    return (["IPv4", "IPv6"] as const)
      .map((addressType) => ({
        addressType,
        ports: ports.map(({ name = "", protocol = "TCP", ...rest }) => ({ name, protocol, ...rest })),
        endpoints: all
          .filter(({ address }) => familyOf(address.ip) === addressType)
          .map(({ address, ready }) => mirrorEndpoint(address, ready)),
      }))
      .filter((group) => group.endpoints.length > 0);
  });
}

function mirrorEndpoint({ ip, hostname, nodeName, targetRef }: EndpointAddress, ready: boolean) {
  return {
    addresses: [ip],
    conditions: { ready },
    ...(hostname ? { hostname } : {}),
    ...(nodeName ? { nodeName } : {}),
    ...(targetRef ? { targetRef } : {}),
  };
}
