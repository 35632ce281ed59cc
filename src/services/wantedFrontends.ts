import type { EndpointSlice, Service } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { ServiceBackend } from "./backends/index.ts";
import {
  addressKey,
  type Frontend,
  type FrontendChange,
  Holders,
  type NodeView,
  type ServiceAddress,
  serviceFrontends,
} from "./model/index.ts";
import type { ProxyObserver } from "./observer.ts";

/** Who is told what Services do. */
export interface WantedFrontendsDeps {
  readonly backend: ServiceBackend;
  readonly observers: readonly ProxyObserver[];
  readonly log: Logger;
}

/** Changes of frontends, by address. */
export type FrontendChanges = Iterable<readonly [string, FrontendChange]>;

/** What each Service does on this node, of which the backend is told. */
export class WantedFrontends {
  readonly #deps: WantedFrontendsDeps;
  readonly #holders = new Holders();
  /** Services that cannot be computed, with why; their former rules stay. */
  readonly #broken = new Map<string, string>();

  constructor(deps: WantedFrontendsDeps) {
    this.#deps = deps;
  }

  /** By `namespace/name`. */
  all(): ReadonlyMap<string, readonly Frontend[]> {
    return new Map([...this.#holders.services()].map((service) => [service, this.#holders.held(service)]));
  }

  /** Whether a Service has the address. */
  isServed(address: ServiceAddress): boolean {
    return this.#holders.holder(addressKey(address)) !== undefined;
  }

  /** A Service that is not as its object wants it; undefined when all are. */
  get problem(): string | undefined {
    for (const [service, message] of this.#broken) return `Service ${service} keeps its former rules: ${message}`;
    return undefined;
  }

  /**
   * Computes a Service anew and tells the backend. One that is not understood keeps its former rules, which is logged;
   * all others follow the cluster.
   * @param key `namespace/name`
   * @param service undefined: it is gone
   */
  compute(
    key: string,
    service: Service | undefined,
    slices: readonly EndpointSlice[],
    view: NodeView,
  ): FrontendChanges {
    try {
      const changes = this.#set(key, service, slices, view);
      this.#broken.delete(key);
      return changes;
    } catch (error) {
      const message = errorMessage(error);
      if (this.#broken.get(key) !== message)
        this.#deps.log.error("A Service keeps its former rules", { service: key, error: message });
      this.#broken.set(key, message);
      return [];
    }
  }

  #set(key: string, service: Service | undefined, slices: readonly EndpointSlice[], view: NodeView): FrontendChanges {
    const frontends = service ? serviceFrontends(service, slices, view) : [];
    for (const observer of this.#deps.observers)
      observer.computed?.(key, { ...(service && { service }), slices, frontends });
    const { holdings, changes } = this.#holders.set(key, frontends);
    for (const { service: name, frontends } of holdings) this.#deps.backend.setService(name, frontends);
    return changes;
  }
}
