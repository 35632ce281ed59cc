import type { EndpointPort, EndpointSlice, Namespace, Pod, Service, ServicePort } from "#api/index.ts";
import { formatIp, type Ip, tryParseIp } from "#base/ip.ts";
import { Multimap } from "./multimap.ts";

/** A Service as far as DNS cares. */
export interface ServiceEntry {
  readonly name: string;
  readonly namespace: string;
  readonly kind: "cluster" | "headless" | "external";
  /** Cluster addresses; none for the other kinds. */
  readonly addresses: readonly Ip[];
  readonly ports: readonly PortEntry[];
  /** Target of an ExternalName Service, as written. */
  readonly externalName: string;
  readonly publishNotReady: boolean;
  /** Addresses and host names that reach it from outside: externalIPs, then those of its load balancer. */
  readonly external: readonly string[];
}

/** A named port; name and protocol in lower case. */
export interface PortEntry {
  readonly name: string;
  readonly protocol: string;
  readonly port: number;
}

/** One address of an endpoint. */
export interface EndpointEntry {
  readonly address: Ip;
  /** Hostname from the slice, "" without one. */
  readonly hostname: string;
  /** Name of the pod behind it, "" for other targets. */
  readonly podName: string;
  readonly ready: boolean;
}

/** An EndpointSlice of a Service. */
export interface SliceEntry {
  /** `namespace/name` of the Service. */
  readonly service: string;
  readonly endpoints: readonly EndpointEntry[];
  readonly ports: readonly PortEntry[];
}

/** Told of what may be answered differently from now on: a Service (`namespace/name`), or a namespace. */
export interface IndexListener {
  service(key: string): void;
  namespace(name: string): void;
}

/** The label that ties a slice to its Service (discovery.k8s.io/v1 LabelServiceName). */
const serviceLabel = "kubernetes.io/service-name";

/**
 * The cluster's objects as DNS looks them up, kept up to date object by object. Setting the same object twice, or
 * deleting one that is not there, changes nothing: the order of events does not matter, only the state.
 */
export class ClusterIndex {
  readonly #services = new Map<string, ServiceEntry>();
  readonly #serviceByAddress = new Multimap();
  readonly #servicesByExternal = new Multimap();
  readonly #slices = new Map<string, SliceEntry>();
  readonly #slicesOfService = new Multimap();
  readonly #slicesByAddress = new Multimap();
  readonly #servicesOfNamespace = new Multimap();
  readonly #namespaces = new Set<string>();
  readonly #podsByAddress = new Multimap();
  readonly #podsByIp = new Multimap();
  readonly #pods = new Map<string, readonly Ip[]>();
  readonly #listeners = new Set<IndexListener>();

  /** From now on this one is told of changes. Returns the end of it. */
  listen(listener: IndexListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Keys of all Services, `namespace/name`. */
  serviceKeys(): string[] {
    return [...this.#services.keys()];
  }

  /** Keys of a namespace's Services. */
  serviceKeysIn(namespace: string): string[] {
    return this.#servicesOfNamespace.get(namespace);
  }

  namespaceNames(): string[] {
    return [...this.#namespaces];
  }

  setService(service: Service): void {
    const key = keyOf(service);
    this.deleteService(key);
    const entry = serviceEntry(service);
    this.#services.set(key, entry);
    this.#servicesOfNamespace.add(entry.namespace, key);
    for (const address of entry.addresses) this.#serviceByAddress.add(formatIp(address), key);
    for (const text of entry.external) this.#servicesByExternal.add(text, key);
    this.#tellService(key, entry);
  }

  /** @param key `namespace/name` */
  deleteService(key: string): void {
    const entry = this.#services.get(key);
    if (!entry) return;
    this.#services.delete(key);
    this.#servicesOfNamespace.remove(entry.namespace, key);
    for (const address of entry.addresses) this.#serviceByAddress.remove(formatIp(address), key);
    for (const text of entry.external) this.#servicesByExternal.remove(text, key);
    this.#tellService(key, entry);
  }

  setSlice(slice: EndpointSlice): void {
    const key = keyOf(slice);
    this.deleteSlice(key);
    const entry = sliceEntry(slice);
    if (!entry) return;
    this.#slices.set(key, entry);
    this.#slicesOfService.add(entry.service, key);
    for (const { address } of entry.endpoints) this.#slicesByAddress.add(formatIp(address), key);
    this.#tell((one) => one.service(entry.service));
  }

  deleteSlice(key: string): void {
    const entry = this.#slices.get(key);
    if (!entry) return;
    this.#slices.delete(key);
    this.#slicesOfService.remove(entry.service, key);
    for (const { address } of entry.endpoints) this.#slicesByAddress.remove(formatIp(address), key);
    this.#tell((one) => one.service(entry.service));
  }

  setNamespace(namespace: Namespace): void {
    this.#namespaces.add(namespace.metadata.name);
    this.#tell((one) => one.namespace(namespace.metadata.name));
  }

  deleteNamespace(name: string): void {
    this.#namespaces.delete(name);
    this.#tell((one) => one.namespace(name));
  }

  setPod(pod: Pod): void {
    const key = keyOf(pod);
    this.deletePod(key);
    const phase = pod.status?.phase;
    if (phase === "Succeeded" || phase === "Failed") return; // its address may belong to another pod by now
    const { podIPs, podIP } = pod.status ?? {};
    const texts = podIPs?.map(({ ip }) => ip) ?? (podIP ? [podIP] : []);
    const ips = texts.flatMap((text) => tryParseIp(text ?? "") ?? []);
    this.#pods.set(key, ips);
    for (const ip of ips) {
      this.#podsByAddress.add(podPlace(pod.metadata.namespace ?? "", ip), key);
      this.#podsByIp.add(formatIp(ip), key);
    }
  }

  deletePod(key: string): void {
    const [namespace] = key.split("/") as [string];
    for (const ip of this.#pods.get(key) ?? []) {
      this.#podsByAddress.remove(podPlace(namespace, ip), key);
      this.#podsByIp.remove(formatIp(ip), key);
    }
    this.#pods.delete(key);
  }

  service(namespace: string, name: string): ServiceEntry | undefined {
    return this.#services.get(`${namespace}/${name}`);
  }

  hasNamespace(name: string): boolean {
    return this.#namespaces.has(name);
  }

  /** Whether a namespace, which need not be known itself, has Services. */
  hasServices(namespace: string): boolean {
    return this.#servicesOfNamespace.has(namespace);
  }

  hasPod(namespace: string, address: Ip): boolean {
    return this.#podsByAddress.get(podPlace(namespace, address)).length > 0;
  }

  /** The pod with this address; undefined for none, and for addresses of the node that several pods share. */
  podAt(address: Ip): { readonly namespace: string; readonly name: string } | undefined {
    const [key, ...others] = this.#podsByIp.get(formatIp(address));
    if (key === undefined || others.length > 0) return undefined;
    const [namespace, name] = key.split("/") as [string, string];
    return { namespace, name };
  }

  /** Services with this external address. */
  servicesAtExternal(address: Ip): ServiceEntry[] {
    return this.#servicesByExternal.get(formatIp(address)).flatMap((key) => this.#services.get(key) ?? []);
  }

  /** Slices of a Service, in the order of their keys so that answers do not depend on the order of events. */
  slices(namespace: string, name: string): SliceEntry[] {
    return this.#entries(this.#slicesOfService.get(`${namespace}/${name}`));
  }

  /** The Service with this cluster address. */
  serviceAt(address: Ip): ServiceEntry | undefined {
    const [key] = this.#serviceByAddress.get(formatIp(address));
    return key === undefined ? undefined : this.#services.get(key);
  }

  /** Slices with an endpoint of this address. */
  slicesAt(address: Ip): SliceEntry[] {
    return this.#entries(this.#slicesByAddress.get(formatIp(address)));
  }

  /** Others with an address of the Service may have its name from now on, or not any more. */
  #tellService(key: string, { addresses }: ServiceEntry): void {
    const others = addresses.flatMap((address) => this.#serviceByAddress.get(formatIp(address)));
    for (const other of new Set([key, ...others])) this.#tell((one) => one.service(other));
  }

  #tell(what: (listener: IndexListener) => void): void {
    for (const listener of this.#listeners) what(listener);
  }

  #entries(keys: readonly string[]): SliceEntry[] {
    return keys.flatMap((key) => this.#slices.get(key) ?? []);
  }
}

/** `namespace/name`, or the name of what has no namespace. */
export function keyOf({
  metadata,
}: {
  readonly metadata: { readonly namespace?: string; readonly name: string };
}): string {
  return metadata.namespace ? `${metadata.namespace}/${metadata.name}` : metadata.name;
}

function podPlace(namespace: string, address: Ip): string {
  return `${namespace}/${formatIp(address)}`;
}

function serviceEntry({ metadata, spec, status }: Service): ServiceEntry {
  const texts = spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : []);
  const external = spec.type === "ExternalName";
  const headless = !external && texts[0] === "None";
  return {
    name: metadata.name,
    namespace: metadata.namespace ?? "",
    kind: external ? "external" : headless ? "headless" : "cluster",
    addresses: external || headless ? [] : texts.flatMap((text) => tryParseIp(text) ?? []),
    ports: (spec.ports ?? []).map(portEntry),
    externalName: spec.externalName ?? "",
    publishNotReady: spec.publishNotReadyAddresses ?? false,
    external: [
      ...(spec.externalIPs ?? []),
      ...(status?.loadBalancer?.ingress ?? []).flatMap(({ ip, hostname }) => ip || hostname || []),
    ].map((text) => {
      const ip = tryParseIp(text);
      return ip ? formatIp(ip) : text;
    }),
  };
}

function sliceEntry(slice: EndpointSlice): SliceEntry | undefined {
  const service = slice.metadata.labels?.[serviceLabel];
  if (!service || slice.addressType === "FQDN") return undefined;
  return {
    service: `${slice.metadata.namespace ?? ""}/${service}`,
    ports: (slice.ports ?? []).map(portEntry),
    endpoints: (slice.endpoints ?? []).flatMap((endpoint) =>
      endpoint.addresses.flatMap((text) => {
        const address = tryParseIp(text);
        if (!address) return [];
        return {
          address,
          hostname: endpoint.hostname ?? "",
          podName: endpoint.targetRef?.kind === "Pod" ? (endpoint.targetRef.name ?? "") : "",
          ready: endpoint.conditions?.ready ?? true, // absent counts as ready (the API's documentation)
        };
      }),
    ),
  };
}

function portEntry(port: ServicePort | EndpointPort): PortEntry {
  return {
    name: (port.name ?? "").toLowerCase(),
    protocol: (port.protocol ?? "TCP").toLowerCase(),
    port: port.port ?? 0,
  };
}
