import { type DataType, padded } from "./dataTypes.ts";
import type { Field } from "./fields.ts";
import type { Expression } from "./model.ts";

/** Key and data types of a table's sets, by name: how many registers a lookup reads and what it yields. */
export type SetShapes = ReadonlyMap<string, { readonly key: readonly DataType[]; readonly data: readonly DataType[] }>;

/** What a register holds while a rule is read. */
export type Held =
  | Field
  | Extract<Expression, { kind: "map" | "constant" }>
  | {
      readonly kind: "masked";
      readonly field: Field;
      readonly mask: Uint8Array;
      readonly flip: Uint8Array;
    };

/** The registers of a rule while its expressions are read one after the other. */
export class Registers {
  readonly #held = new Map<number, Held>();
  readonly #sets: SetShapes;

  constructor(sets: SetShapes) {
    this.#sets = sets;
  }

  /** Puts something into a register. @throws RangeError without one */
  load(target: number | undefined, held: Held): void {
    if (target === undefined) throw new RangeError("nftables expression without a register");
    this.#held.set(target, held);
  }

  /** What a register holds. @throws RangeError for an empty one */
  held(source: number | undefined): Held {
    const held = source === undefined ? undefined : this.#held.get(source);
    if (!held) throw new RangeError(`nftables rule reads register ${source}, which nothing was loaded into`);
    return held;
  }

  /** Bytes of a register that holds a constant. @throws RangeError when it holds something else */
  constant(source: number | undefined): Uint8Array {
    const held = this.held(source);
    if (held.kind !== "constant") throw new RangeError("nftables rule computes what the model has as a constant");
    return held.bytes;
  }

  /** @throws RangeError for a set that the table lacks */
  shape(set: string) {
    const shape = this.#sets.get(set);
    if (!shape) throw new RangeError(`nftables rule uses set ${set}, which the table does not list`);
    return shape;
  }

  /** The fields of a set's key that begins in a register. @throws RangeError when one is computed */
  key(source: number | undefined, set: string): Field[] {
    let at = source ?? 0;
    return this.shape(set).key.map((type) => {
      const held = this.held(at);
      at += padded(type.length) / 4;
      if (held.kind === "map" || held.kind === "constant" || held.kind === "masked") {
        throw new RangeError("a computed value in a key is not in the model");
      }
      return held;
    });
  }
}
