import type { Endpoint, EndpointPort, EndpointSlice, ObjectMeta } from "#api/index.ts";
import { formatIp, ip4OfNumber } from "#base/ip.ts";

/** What endpoints have in common with others. */
export type Place = Pick<Endpoint, "conditions" | "nodeName" | "hints">;

/**
 * A slice of IPv4 endpoints as a proxy keeps it: an endpoint is a number and a reference to what it shares with others.
 * There are as many in memory as in the whole cluster, and few of them are ever looked at one by one.
 */
export class KeptSlice implements EndpointSlice {
  readonly metadata: ObjectMeta;
  readonly addressType = "IPv4";
  readonly ports: readonly EndpointPort[];
  /** Addresses in the order of the endpoints, each as a signed number of 32 bits, which takes no memory of its own. */
  readonly numbers: readonly number[];
  readonly #places: Place | readonly Place[];

  /** @param places beside the numbers */
  constructor(
    metadata: ObjectMeta,
    ports: readonly EndpointPort[],
    numbers: readonly number[],
    places: readonly Place[],
  ) {
    this.metadata = metadata;
    this.ports = ports;
    this.numbers = numbers;
    const [first = {}] = places;
    this.#places = places.every((place) => place === first) ? first : places;
  }

  /** Made anew for each who asks. */
  get endpoints(): readonly Endpoint[] {
    return this.numbers.map((number, index) => ({
      addresses: [formatIp(ip4OfNumber(number))],
      ...this.placeOf(index),
    }));
  }

  placeOf(index: number): Place {
    return Array.isArray(this.#places) ? (this.#places[index] as Place) : (this.#places as Place);
  }

  /** What every endpoint has in common; undefined when they differ. */
  get place(): Place | undefined {
    return Array.isArray(this.#places) ? undefined : (this.#places as Place);
  }
}
