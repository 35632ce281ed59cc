import { parseNetwork } from "#base/ip.ts";
import type { Origin } from "#base/origin.ts";
import type { OriginIndex } from "./driver.ts";
import type { Address, FdbEntry, Neighbour, Operation, Route } from "./model.ts";

const key = {
  route(route: Route): string {
    // The kernel's default metric of IPv6 routes is 1024, of IPv4 ones 0.
    const metric = route.metric ?? (parseNetwork(route.dst).ip.family === 6 ? 1024 : 0);
    return `route ${route.dst} ${route.table ?? 254} ${metric}`;
  },
  neighbour: (entry: Pick<Neighbour, "index" | "ip">) => `neighbour ${entry.index} ${entry.ip}`,
  fdb: (entry: Pick<FdbEntry, "index" | "mac">) => `fdb ${entry.index} ${entry.mac}`,
  address: (address: Address) => `address ${address.index} ${address.address}`,
  link: (index: number) => `link ${index}`,
};

/** Identity of what an operation makes or removes, undefined when it does neither. */
function operationKey(operation: Operation): { key: string; removes: boolean } | undefined {
  switch (operation.op) {
    case "add-route":
    case "delete-route":
      return { key: key.route(operation), removes: operation.op === "delete-route" };
    case "add-neighbour":
    case "delete-neighbour":
      return { key: key.neighbour(operation), removes: operation.op === "delete-neighbour" };
    case "add-fdb":
    case "delete-fdb":
      return { key: key.fdb(operation), removes: operation.op === "delete-fdb" };
    case "add-address":
    case "delete-address":
      return { key: key.address(operation), removes: operation.op === "delete-address" };
    default:
      return undefined;
  }
}

/** Origins of what one namespace's operations made, in memory. */
export class OriginRecorder implements OriginIndex {
  readonly #origins = new Map<string, Origin>();

  /** Records a successful operation. `linkIndex` is the index that a new device got. */
  record(operation: Operation, linkIndex?: number): void {
    if (operation.op === "add-link") {
      if (operation.origin && linkIndex !== undefined) this.#origins.set(key.link(linkIndex), operation.origin);
      return;
    }
    if (operation.op === "delete-link") return this.#forgetLink(operation.index);
    const made = operationKey(operation);
    if (!made) return;
    const origin = "origin" in operation ? operation.origin : undefined;
    if (made.removes || !origin) this.#origins.delete(made.key);
    else this.#origins.set(made.key, origin);
  }

  route(route: Route): Origin | undefined {
    return this.#origins.get(key.route(route));
  }

  neighbour(entry: Pick<Neighbour, "index" | "ip">): Origin | undefined {
    return this.#origins.get(key.neighbour(entry));
  }

  fdb(entry: Pick<FdbEntry, "index" | "mac">): Origin | undefined {
    return this.#origins.get(key.fdb(entry));
  }

  address(address: Address): Origin | undefined {
    return this.#origins.get(key.address(address));
  }

  link(index: number): Origin | undefined {
    return this.#origins.get(key.link(index));
  }

  #forgetLink(index: number): void {
    const prefixes = ["neighbour", "fdb", "address"].map((kind) => `${kind} ${index} `);
    for (const name of this.#origins.keys()) {
      if (name === key.link(index) || prefixes.some((prefix) => name.startsWith(prefix))) this.#origins.delete(name);
    }
  }
}
