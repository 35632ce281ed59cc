import type { EndpointSlice, ServicePort } from "#api/index.ts";
import { type Choice, candidatesOf, chooseTargets, conditionsOf, portIn } from "./candidates.ts";
import { EndpointTarget } from "./endpointTarget.ts";
import type { Action, NodeView, Target } from "./frontend.ts";
import { KeptSlice, type Place } from "./keptSlice.ts";

/** The targets of a frontend as numbers: what lists of objects would say of them, for who can do without the objects. */
export interface NumberedTargets {
  /** IPv4 addresses, as signed numbers of 32 bits, in the order of the addresses. */
  readonly addresses: readonly number[];
  /** Of all of them. */
  readonly port: number;
  /** Those that run on this node, or of which nobody says where. */
  readonly near: readonly Target[];
}

/**
 * What almost every port of a cluster is: all of its endpoints are ready, nobody is preferred, all listen at one port.
 * Then all are chosen and all serve; the lists of objects are made when somebody asks for them.
 */
export class NumberedChoice implements Choice {
  readonly numbered: NumberedTargets;
  readonly #make: () => Choice;
  #made: Choice | undefined;

  private constructor(numbered: NumberedTargets, make: () => Choice) {
    this.numbered = numbered;
    this.#make = make;
  }

  /** Undefined where it is not as simple. @param slices of one family */
  static of(port: ServicePort, slices: readonly EndpointSlice[], node: NodeView): NumberedChoice | undefined {
    const numbered = numberedTargets(port, slices, node.name);
    if (!numbered) return undefined;
    return new NumberedChoice(numbered, () => chooseTargets(candidatesOf(port, slices, node.name), node));
  }

  get cluster(): readonly Target[] {
    return this.#lists.cluster;
  }

  get local(): readonly Target[] {
    return this.#lists.local;
  }

  get serving(): readonly Target[] {
    return this.#lists.serving;
  }

  get topology(): Choice["topology"] {
    return this.#lists.topology;
  }

  get #lists(): Choice {
    this.#made ??= this.#make();
    return this.#made;
  }
}

/** To any of a choice's targets. */
export class NumberedBalance {
  readonly kind = "balance";
  readonly #choice: NumberedChoice;

  constructor(choice: NumberedChoice) {
    this.#choice = choice;
  }

  get numbered(): NumberedTargets {
    return this.#choice.numbered;
  }

  get targets(): readonly Target[] {
    return this.#choice.cluster;
  }
}

/** The targets of an action as numbers, where they are there. */
export function numberedOf(action: Action): NumberedTargets | undefined {
  return action instanceof NumberedBalance ? action.numbered : undefined;
}

function numberedTargets(
  port: ServicePort,
  slices: readonly EndpointSlice[],
  nodeName: string,
): NumberedTargets | undefined {
  let number: number | undefined;
  const addresses: number[] = [];
  const near: Target[] = [];
  for (const slice of slices) {
    const here = portIn(slice, port);
    if (here === undefined) continue;
    if (!(slice instanceof KeptSlice) || (number !== undefined && number !== here)) return undefined;
    number = here;
    if (!addAll(slice, here, { addresses, near, nodeName })) return undefined;
  }
  return number !== undefined && addresses.length > 0 && sortedOnce(addresses)
    ? { addresses, port: number, near }
    : undefined;
}

/** @returns false where an endpoint is not just ready */
function addAll(
  slice: KeptSlice,
  port: number,
  { addresses, near, nodeName }: { addresses: number[]; near: Target[]; nodeName: string },
): boolean {
  const { numbers, place } = slice;
  if (place && !isPlain(place)) return false;
  for (let index = 0; index < numbers.length; index++) {
    const whose = slice.placeOf(index);
    const runsOn = whose.nodeName;
    if (!place && !isPlain(whose)) return false;
    const address = numbers[index] as number;
    addresses.push(address);
    if (runsOn === undefined || runsOn === nodeName)
      near.push(new EndpointTarget(slice, index, port, address, { runsOn, here: nodeName }));
  }
  return true;
}

/** Ready, and meant for nobody in particular. */
function isPlain({ hints, conditions }: Place): boolean {
  if (hints) return false;
  const { isReady, isServing } = conditionsOf(conditions);
  return isReady && isServing;
}

/** Brings addresses into their order. @returns whether each is there once */
function sortedOnce(addresses: number[]): boolean {
  let last = -1;
  for (let i = 0; i < addresses.length; i++) {
    const address = (addresses[i] as number) >>> 0;
    if (address === last) return false;
    if (address < last) {
      addresses.sort((a, b) => (a >>> 0) - (b >>> 0));
      return sortedOnce(addresses);
    }
    last = address;
  }
  return true;
}
