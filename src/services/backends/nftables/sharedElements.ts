import { DeltaTracker, type Pending } from "#base/delta.ts";
import { type Element, keyText, sameElement } from "#kernel/nft/index.ts";
import { Claims } from "../../model/index.ts";

/** Elements of a set that several frontends may want: wishes, what counts of them, and what is in the kernel. */
export class SharedElements {
  readonly #claims = new Claims<Element>();
  readonly #tracker = new DeltaTracker<string, Element>(sameElement);

  /** Of several who want an element, one counts. @param isWanted false: the claimant does not want it any more */
  want(element: Element, claimant: string, isWanted: boolean): void {
    const key = keyText(element.key);
    const [before, after] = this.#claims.set(key, claimant, isWanted ? element : undefined);
    if (before?.value === after?.value) return;
    if (after) this.#tracker.setDesired(key, after.value);
    else this.#tracker.deleteDesired(key);
  }

  /** Takes what a driver read as the truth. */
  adopt(held: readonly Element[]): void {
    this.#tracker.replaceActual(held.map((element) => [keyText(element.key), element] as const));
  }

  /** What has to be done. */
  pending(): Readonly<Record<keyof Pending<string, Element>, readonly Element[]>> {
    const { add, change, remove, same } = this.#tracker.pending();
    const values = (pairs: readonly (readonly [string, Element])[]) => pairs.map(([, element]) => element);
    return { add: values(add), change: values(change), remove: values(remove), same: values(same) };
  }

  /** It is done, or on its way. */
  applied(): void {
    this.#tracker.applied();
  }
}
