import { type Endpoint, type EndpointSlice, type ObjectMeta, type Service, SOURCE_ANNOTATION } from "#api/index.ts";
import { ip4Number } from "#base/ip.ts";
import { KeptSlice, type Place, proxyLabels } from "./model/index.ts";
import { TRIGGER_TIME } from "./observer.ts";

/** So many different places of endpoints and lists of ports are remembered at most. */
const MOST_REMEMBERED = 20_000;

function placeOf({ conditions, nodeName, hints }: Endpoint): Place {
  return { ...(conditions && { conditions }), ...(nodeName && { nodeName }), ...(hints && { hints }) };
}

/** A number for conditions, another for each that differ. */
function stateOf({ ready, serving, terminating }: Endpoint["conditions"] = {}): number {
  const digit = (value: boolean | undefined) => (value === undefined ? 0 : value ? 1 : 2);
  return digit(ready) + 3 * digit(serving) + 9 * digit(terminating);
}

/** What a service proxy keeps of the objects that it watches. */
export interface Intake {
  service(service: Service): Service;
  slice(slice: EndpointSlice): EndpointSlice;
}

/**
 * Keeps of each object what the model asks for, and equal parts once: there are as many endpoints in memory as in the
 * whole cluster, and they have few different nodes, conditions and ports.
 */
export function openIntake(): Intake {
  const remembered = new Map<string, unknown>();
  /** By the name of the node, then by {@link stateOf}. */
  const byNode = new Map<string, Place[]>();
  const once = <T>(key: string, value: T): T => {
    const known = remembered.get(key);
    if (known !== undefined) return known as T;
    if (remembered.size >= MOST_REMEMBERED) remembered.clear();
    remembered.set(key, value);
    return value;
  };
  const place = (endpoint: Endpoint): Place => {
    const { conditions, nodeName = "", hints } = endpoint;
    if (hints) {
      const made = placeOf(endpoint);
      return once(JSON.stringify(made), made);
    }
    // There is one of these for each endpoint of the cluster: no text is made to find it.
    let places = byNode.get(nodeName);
    if (!places) {
      if (byNode.size >= MOST_REMEMBERED) byNode.clear();
      byNode.set(nodeName, (places = []));
    }
    return (places[stateOf(conditions)] ??= placeOf(endpoint));
  };
  return {
    service({ metadata, spec: { selector: _, ...spec }, status }) {
      const loadBalancer = status?.loadBalancer;
      return {
        metadata: trimmed(metadata, Object.values(proxyLabels), [SOURCE_ANNOTATION]),
        spec,
        ...(loadBalancer?.ingress && { status: { loadBalancer } }),
      };
    },
    slice({ metadata, addressType, ports: all, endpoints }) {
      const kept = trimmed(metadata, [proxyLabels.serviceName], [TRIGGER_TIME]);
      const ports = all && once(`ports ${JSON.stringify(all)}`, all);
      // A slice without endpoints has null there on the wire.
      const found = endpoints ?? [];
      const numbers = addressType === "IPv4" ? numbersOf(found) : undefined;
      if (numbers) return new KeptSlice(kept, ports ?? [], numbers, found.map(place));
      const one = (endpoint: Endpoint) => ({ addresses: endpoint.addresses.slice(0, 1), ...place(endpoint) });
      return { metadata: kept, addressType, ...(ports && { ports }), endpoints: found.map(one) };
    },
  };
}

/** The endpoints' addresses as numbers; undefined when one of them is none of IPv4. */
function numbersOf(endpoints: readonly Endpoint[]): number[] | undefined {
  const numbers: number[] = [];
  for (const { addresses } of endpoints) {
    const number = ip4Number(addresses[0] ?? "");
    if (number === undefined) return undefined;
    numbers.push(number | 0);
  }
  return numbers;
}

function trimmed(
  { name, namespace, uid, resourceVersion, labels, annotations }: ObjectMeta,
  keptLabels: readonly string[],
  keptAnnotations: readonly string[],
): ObjectMeta {
  const picked = (from: Readonly<Record<string, string>> | undefined, keys: readonly string[]) => {
    const found = keys.filter((key) => from?.[key] !== undefined);
    return from && found.length ? Object.fromEntries(found.map((key) => [key, from[key] as string])) : undefined;
  };
  const label = picked(labels, keptLabels);
  const annotation = picked(annotations, keptAnnotations);
  return {
    name,
    ...(namespace !== undefined && { namespace }),
    ...(uid !== undefined && { uid }),
    ...(resourceVersion !== undefined && { resourceVersion }),
    ...(label && { labels: label }),
    ...(annotation && { annotations: annotation }),
  };
}
