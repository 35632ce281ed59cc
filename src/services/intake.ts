import { type Endpoint, type EndpointSlice, type ObjectMeta, type Service, SOURCE_ANNOTATION } from "#api/index.ts";
import { proxyLabels } from "./model/index.ts";
import { TRIGGER_TIME } from "./observer.ts";

/** So many different places of endpoints and lists of ports are remembered at most. */
const MOST_REMEMBERED = 20_000;

/** What endpoints have in common with others. */
type Place = Pick<Endpoint, "conditions" | "nodeName" | "hints">;

/** An endpoint in two words of memory: its address, and all else, which is shared. */
class KeptEndpoint {
  readonly #address: string;
  readonly #place: Place;

  constructor(address: string, place: Place) {
    this.#address = address;
    this.#place = place;
  }

  get addresses(): readonly string[] {
    return [this.#address];
  }

  get conditions(): Place["conditions"] {
    return this.#place.conditions;
  }

  get nodeName(): Place["nodeName"] {
    return this.#place.nodeName;
  }

  get hints(): Place["hints"] {
    return this.#place.hints;
  }
}

function placeOf({ conditions, nodeName, hints }: Endpoint): Place {
  return { ...(conditions && { conditions }), ...(nodeName && { nodeName }), ...(hints && { hints }) };
}

function kept(addresses: readonly string[], place: Place): Endpoint {
  // What is undefined there counts as absent.
  return new KeptEndpoint(addresses[0] ?? "", place) as Endpoint;
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
  const endpoint = (whole: Endpoint): Endpoint => {
    const { addresses, conditions, nodeName = "", hints } = whole;
    if (hints) {
      const place = placeOf(whole);
      return kept(addresses, once(JSON.stringify(place), place));
    }
    // There is one of these for each endpoint of the cluster: no text is made to find it.
    const places = byNode.get(nodeName) ?? [];
    if (places.length === 0) {
      if (byNode.size >= MOST_REMEMBERED) byNode.clear();
      byNode.set(nodeName, places);
    }
    return kept(addresses, (places[stateOf(conditions)] ??= placeOf(whole)));
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
    slice({ metadata, addressType, ports, endpoints }) {
      return {
        metadata: trimmed(metadata, [proxyLabels.serviceName], [TRIGGER_TIME]),
        addressType,
        ...(ports && { ports: once(`ports ${JSON.stringify(ports)}`, ports) }),
        // A slice without endpoints has null there on the wire.
        endpoints: (endpoints ?? []).map(endpoint),
      };
    },
  };
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
