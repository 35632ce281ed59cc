import type { V1ResourceQuota } from "@kubernetes/client-node";
import type { Quantity } from "#base/quantity.ts";
import type { StoredObject } from "../../object.ts";
import type { Store } from "../../store/index.ts";
import { type Amounts, addAmounts } from "../amounts.ts";
import { inScope } from "./scopes.ts";
import { countedKind, usageOf } from "./usage.ts";

/** Where quotas are stored. */
export const quotaStorage = "resourcequotas";

const zero: Quantity = { unscaled: 0n, scale: 0, format: "DecimalSI" };

/** A quota as it is stored. */
export type Quota = StoredObject & V1ResourceQuota & { metadata: StoredObject["metadata"] };

/** The quotas of a namespace, by name. */
export function quotasIn(store: Store, namespace: string): Quota[] {
  return store
    .list(quotaStorage)
    .filter((entry) => entry.namespace === namespace)
    .map(({ object }) => object as Quota);
}

/** The amounts that a quota limits. */
export function onlyOf(quota: Quota, amounts: Amounts): Amounts {
  const hard = quota.spec?.hard ?? {};
  return Object.fromEntries(Object.entries(amounts).filter(([name]) => Object.hasOwn(hard, name)));
}

/** Counts what is used of quotas, by all objects that are stored. */
export class QuotaCounter {
  readonly #store: Store;
  /** What stored versions use: they do not change. */
  readonly #usage = new WeakMap<StoredObject, Amounts>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** What of a quota's resources is used now. */
  usedOf(quota: Quota): Amounts {
    const names = Object.keys(quota.spec?.hard ?? {});
    let used: Amounts = Object.fromEntries(names.map((name) => [name, zero]));
    for (const storage of new Set(names.map(countedKind)))
      for (const { namespace, object } of this.#store.list(storage)) {
        if (namespace !== quota.metadata.namespace || !inScope(quota.spec ?? {}, storage, object)) continue;
        used = addAmounts(used, onlyOf(quota, this.#usageOf(storage, object)));
      }
    return used;
  }

  #usageOf(storage: string, object: StoredObject): Amounts {
    // Of what is being deleted, the usage ends with the time.
    if (object.metadata.deletionTimestamp !== undefined) return usageOf(storage, object);
    const known = this.#usage.get(object) ?? usageOf(storage, object);
    this.#usage.set(object, known);
    return known;
  }
}
