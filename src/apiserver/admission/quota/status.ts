import { errorMessage } from "#base/errors.ts";
import { equalJson } from "#base/json.ts";
import type { Logger } from "#base/log.ts";
import { formatQuantity } from "#base/quantity.ts";
import type { Kind } from "../../kinds/definition.ts";
import type { Registry } from "../../kinds/registry.ts";
import type { Objects, WriteOptions } from "../../rest/objects.ts";
import type { Store } from "../../store/index.ts";
import { type Quota, type QuotaCounter, quotaStorage, quotasIn } from "./count.ts";
import { countedKind } from "./usage.ts";

/** What the quotas' status is kept with. */
export interface QuotaStatusDeps {
  readonly store: Store;
  readonly objects: Objects;
  readonly registry: Registry;
  readonly counter: QuotaCounter;
  readonly log: Logger;
}

/**
 * Keeps the status of the quotas: what they grant, and what is used. It follows the kinds that quotas count, and counts
 * a namespace anew, once for any number of changes, when something in it changed.
 */
export class QuotaStatus {
  readonly #deps: QuotaStatusDeps;
  readonly #options: WriteOptions;
  readonly #kind: Kind;
  readonly #followed = new Map<string, () => void>();
  readonly #changed = new Set<string>();
  #due: NodeJS.Immediate | undefined;

  constructor(deps: QuotaStatusDeps, options: WriteOptions) {
    const kind = deps.registry.byKind("v1", "ResourceQuota");
    if (!kind) throw new Error("no kind ResourceQuota");
    this.#deps = deps;
    this.#kind = kind;
    this.#options = { ...options, manager: "kube-controller-manager", subresource: "status" };
  }

  /** Brings all quotas up to date, now and whenever something changes. */
  start(): void {
    this.#follow(quotaStorage);
    for (const { namespace, object } of this.#deps.store.list(quotaStorage)) {
      this.#followAll(object as Quota);
      this.#mark(namespace);
    }
  }

  stop(): void {
    for (const end of this.#followed.values()) end();
    this.#followed.clear();
    clearImmediate(this.#due);
  }

  #followAll(quota: Quota): void {
    for (const name of Object.keys(quota.spec?.hard ?? {})) this.#follow(countedKind(name));
  }

  #follow(storage: string): void {
    if (this.#followed.has(storage)) return;
    const { store } = this.#deps;
    const end = store.watch(storage, store.revision, ({ type, entry }) => {
      if (storage === quotaStorage && type !== "DELETED") this.#followAll(entry.object as Quota);
      this.#mark(entry.namespace);
    });
    this.#followed.set(storage, end);
  }

  #mark(namespace: string): void {
    this.#changed.add(namespace);
    this.#due ??= setImmediate(() => this.#settle());
  }

  #settle(): void {
    this.#due = undefined;
    const { store } = this.#deps;
    // The next change after the store works again comes back to these.
    if (store.failure) return;
    const namespaces = [...this.#changed];
    this.#changed.clear();
    for (const namespace of namespaces) for (const quota of quotasIn(store, namespace)) this.#write(quota);
  }

  #write(quota: Quota): void {
    const { name, namespace = "" } = quota.metadata;
    const hard = quota.spec?.hard ?? {};
    const used = Object.fromEntries(
      Object.entries(this.#deps.counter.usedOf(quota)).map(([resource, amount]) => [resource, formatQuantity(amount)]),
    );
    if (equalJson(quota.status?.hard ?? {}, hard) && equalJson(quota.status?.used ?? {}, used)) return;
    try {
      const change = (old: object) => ({ ...old, status: { hard, used } });
      this.#deps.objects.update(this.#kind, namespace, name, change, this.#options);
    } catch (error) {
      this.#deps.log.error("A quota's status was not written", { namespace, name, error: errorMessage(error) });
    }
  }
}
