import type { Kind } from "../kinds/definition.ts";
import type { Registry } from "../kinds/registry.ts";
import type { Dict, StoredObject } from "../object.ts";
import type { Objects } from "../rest/objects.ts";
import { ownWrite } from "../rest/own-write.ts";
import type { Store } from "../store/index.ts";
import { addressesOf, parentOf } from "./held.ts";

/** Who makes the IPAddresses of Services (networking.k8s.io/v1, LabelManagedBy). */
const managedBy = "ipallocator.k8s.io";

/**
 * Keeps an IPAddress for each address of a Service: made and removed in the same breath as the Service's own change,
 * before anybody is told of that. What is missing or too much after a crash is the repair controller's.
 */
export class AddressLedger {
  readonly #store: Store;
  readonly #objects: Objects;
  readonly #kind: Kind;

  constructor(deps: { store: Store; objects: Objects; registry: Registry }) {
    const kind = deps.registry.byKind("networking.k8s.io/v1", "IPAddress");
    if (!kind) throw new Error("no kind IPAddress");
    this.#store = deps.store;
    this.#objects = deps.objects;
    this.#kind = kind;
  }

  /** Follows the Services from now on. Returns what ends it. */
  start(): () => void {
    return this.#store.watch("services", this.#store.revision, ({ type, entry, previous }) => {
      const now = type === "DELETED" ? [] : addressesOf(entry.object);
      const before = previous ? addressesOf(previous.object) : [];
      for (const ip of before) if (!now.includes(ip)) this.#strike(ip, entry.object);
      if (type !== "DELETED") this.#enter(entry.object, before);
    });
  }

  #enter(service: StoredObject, known: readonly string[]): void {
    const { namespace = "", name } = service.metadata;
    for (const ip of addressesOf(service)) {
      if (known.includes(ip) || this.#store.get(this.#kind.storage, ip)) continue;
      const draft = addressDraft(ip, { namespace, name });
      this.#objects.create(this.#kind, "", draft, ownWrite);
    }
  }

  #strike(ip: string, service: StoredObject): void {
    const present = this.#store.get(this.#kind.storage, ip)?.object;
    const { namespace, name } = service.metadata;
    if (present && parentOf(present) === `${namespace}/${name}`) this.#objects.delete(this.#kind, "", ip, {}, false);
  }
}

/** The IPAddress that stands for an address of a Service. */
export function addressDraft(ip: string, service: { readonly namespace: string; readonly name: string }): Dict {
  const labels = {
    "ipaddress.kubernetes.io/ip-family": ip.includes(":") ? "IPv6" : "IPv4",
    "ipaddress.kubernetes.io/managed-by": managedBy,
  };
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "IPAddress",
    metadata: { name: ip, labels },
    spec: { parentRef: { group: "", resource: "services", ...service } },
  };
}
