import type { Endpoint, EndpointSlice } from "#api/index.ts";
import { type Ip, ip4Number, ip4OfNumber, tryParseIp } from "#base/ip.ts";
import type { Origin } from "#base/origin.ts";
import type { Target } from "./frontend.ts";

/**
 * An endpoint of a slice as the target of one port. There are as many as there are endpoints in the cluster: it refers
 * to the slice, and makes what is rarely asked for when it is asked for.
 */
export class EndpointTarget implements Target {
  readonly port: number;
  readonly isLocal: boolean;
  readonly isElsewhere: boolean;
  readonly #slice: EndpointSlice;
  readonly #index: number;
  /** Of IPv4 the number, as the signed one that takes no memory of its own. */
  readonly #address: number | Ip;

  /**
   * @param index of the endpoint in its slice
   * @param address of IPv4 its number
   * @param where the node that the endpoint runs on, and this one
   */
  constructor(
    slice: EndpointSlice,
    index: number,
    port: number,
    address: number | Ip,
    where: { readonly runsOn: string | undefined; readonly here: string },
  ) {
    const { runsOn, here } = where;
    this.port = port;
    this.isLocal = runsOn === here;
    this.isElsewhere = runsOn !== undefined && runsOn !== here;
    this.#slice = slice;
    this.#index = index;
    this.#address = typeof address === "number" ? address | 0 : address;
  }

  /** Undefined when its address is none. @param here name of this node */
  static of(
    slice: EndpointSlice,
    { addresses, nodeName: runsOn }: Endpoint,
    [index, port]: readonly [number, number],
    here: string,
  ): EndpointTarget | undefined {
    // Kubernetes puts one address into an endpoint; more would mean the same (discovery/v1).
    const text = addresses[0] ?? "";
    const address = ip4Number(text) ?? tryParseIp(text);
    return address === undefined ? undefined : new EndpointTarget(slice, index, port, address, { runsOn, here });
  }

  get ip(): Ip {
    return typeof this.#address === "number" ? ip4OfNumber(this.#address) : this.#address;
  }

  get origin(): Origin {
    return endpointOrigin(this.#slice, this.#index);
  }

  /** By address, then port. */
  compare(other: EndpointTarget): number {
    const a = this.#address;
    const b = other.#address;
    if (typeof a === "number" && typeof b === "number") return (a >>> 0) - (b >>> 0) || this.port - other.port;
    return Buffer.compare(this.ip.bytes, other.ip.bytes) || this.port - other.port;
  }
}

/** The place of an endpoint. */
export function endpointOrigin(slice: EndpointSlice, index: number): Origin {
  const { namespace, name } = slice.metadata;
  return {
    kind: "EndpointSlice",
    ...(namespace !== undefined && { namespace }),
    name,
    field: `endpoints[${index}]`,
  };
}
