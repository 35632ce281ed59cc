import { errorMessage } from "#base/errors.ts";
import { equalJson } from "#base/json.ts";
import type { Logger } from "#base/log.ts";
import { TimeLimit } from "#base/timeLimit.ts";
import type { Kind } from "../kinds/definition.ts";
import type { Registry } from "../kinds/registry.ts";
import { cloneJson, keyOf, type StoredObject } from "../object.ts";
import type { Objects } from "../rest/objects.ts";
import { ownWrite } from "../rest/own-write.ts";
import { timestamp } from "../rest/time.ts";
import type { Schema } from "../schema/schema.ts";
import type { Store } from "../store/index.ts";
import { syncApiServices } from "./api-services.ts";
import { customResourceDefinition } from "./definition-kind.ts";
import { customKind, customTypeName } from "./kind.ts";
import { type Crd, type CrdCondition, cleanupFinalizer, conditionIs, crdStorage, withCondition } from "./model.ts";
import { namingStatus } from "./naming.ts";
import { customType } from "./types.ts";

interface Served {
  /** What the kinds were made from. */
  readonly from: unknown;
  readonly retire: AbortController;
  readonly types: readonly string[];
}

/** What the registrar works with. */
export interface RegistrarDeps {
  readonly store: Store;
  readonly schema: Schema;
  readonly objects: Objects;
  readonly registry: Registry;
  readonly log: Logger;
}

/** Longest validation of one custom object, in milliseconds; ordinary ones take less than ten. */
const validationMs = 1000;

/**
 * Keeps what is served in step with the definitions: accepts their names, serves them once they are established, and
 * removes the objects of those that are deleted. It hears of a change before the client who made it gets the answer,
 * so that a definition is served at once.
 */
export class Registrar {
  readonly #deps: RegistrarDeps;
  readonly #limit = new TimeLimit(validationMs);
  readonly #served = new Map<string, Served>();
  /** Ends of watches for the last object of deleted definitions. */
  readonly #waiting = new Map<string, () => void>();
  #stop: (() => void) | undefined;

  constructor(deps: RegistrarDeps) {
    this.#deps = deps;
  }

  /** Serves what is there and follows every change. */
  start(): void {
    const { store } = this.#deps;
    this.#stop = store.watch(crdStorage, store.revision, (change) => this.#sync(change.entry.name));
    for (const { name } of [...store.list(crdStorage)]) this.#sync(name);
  }

  /** Follows no more. */
  stop(): void {
    this.#stop?.();
    for (const end of this.#waiting.values()) end();
    this.#waiting.clear();
  }

  #get(name: string): Crd | undefined {
    return this.#deps.store.get(crdStorage, name)?.object as Crd | undefined;
  }

  /** Brings one definition into order. Never throws: it is called where changes are made known. */
  #sync(name: string): void {
    try {
      const crd = this.#get(name);
      if (!crd) this.#gone(name);
      else if (crd.metadata.deletionTimestamp !== undefined) this.#cleanUp(crd);
      else this.#accept(crd);
    } catch (error) {
      this.#deps.log.error("A custom resource definition is not served", { name, error: errorMessage(error) });
    }
  }

  #gone(name: string): void {
    const [plural = ""] = name.split(".");
    this.#forget(name);
    // Objects would only be left where somebody took the finalizer off.
    if (!this.#deps.registry.hasBuiltIn(name))
      for (const entry of [...this.#deps.store.list(name)]) this.#deps.store.remove(name, entry.key);
    // Names are free again.
    const group = name.slice(plural.length + 1);
    for (const { object } of [...this.#deps.store.list(crdStorage)]) {
      const other = object as Crd;
      if (other.spec.group === group && !conditionIs(other, "NamesAccepted")) this.#sync(other.metadata.name);
    }
  }

  #accept(crd: Crd): void {
    const { name } = crd.metadata;
    const others = this.#deps.store.list(crdStorage).map((entry) => entry.object as Crd);
    const builtIn = this.#deps.registry.hasBuiltIn(name) ? [builtInNames(crd)] : [];
    const status = namingStatus(crd, [...others, ...builtIn], timestamp());
    if (!equalJson(status, crd.status)) this.#writeStatus(name, (old) => ({ ...old, status }));
    const now = this.#get(name);
    if (now && conditionIs(now, "Established")) this.#serve(now);
  }

  #writeStatus(name: string, change: (old: StoredObject) => StoredObject): void {
    this.#deps.objects.update(customResourceDefinition, "", name, change, { ...ownWrite, subresource: "status" });
  }

  /** Serves a definition's versions; nothing happens when what they are made of has not changed. */
  #serve(crd: Crd): void {
    const { name } = crd.metadata;
    const { spec, status } = crd;
    const from = { spec, names: status?.acceptedNames, stored: status?.storedVersions };
    const before = this.#served.get(name);
    if (before && equalJson(before.from, from)) return;
    const retire = new AbortController();
    const versions = spec.versions.filter((version) => version.served);
    const kinds = versions.map((version) =>
      customKind(crd, version, {
        schema: this.#deps.schema,
        retired: retire.signal,
        limit: this.#limit,
        terminating: () => this.#get(name)?.metadata.deletionTimestamp !== undefined,
      }),
    );
    const types = versions.map((version) => {
      const type = customTypeName(spec.group, version.name, status?.acceptedNames?.kind ?? spec.names.kind);
      const schema = version.schema?.openAPIV3Schema ?? {};
      this.#deps.schema.define(type, (part) => customType(type, schema, part));
      return type;
    });
    this.#deps.registry.setCustom(name, kinds);
    syncApiServices(this.#deps, ownWrite);
    this.#served.set(name, { from, retire, types });
    for (const type of before?.types ?? []) if (!types.includes(type)) this.#deps.schema.forget(type);
    before?.retire.abort();
  }

  #forget(name: string): void {
    this.#waiting.get(name)?.();
    this.#waiting.delete(name);
    const served = this.#served.get(name);
    if (!served) return;
    this.#served.delete(name);
    this.#deps.registry.setCustom(name, []);
    syncApiServices(this.#deps, ownWrite);
    for (const type of served.types) this.#deps.schema.forget(type);
    served.retire.abort();
  }

  /** Deletes a definition's objects, then lets it go. */
  #cleanUp(crd: Crd): void {
    const { name } = crd.metadata;
    if (conditionIs(crd, "Established")) this.#serve(crd);
    if (!crd.metadata.finalizers?.includes(cleanupFinalizer)) return;
    const left = this.#deleteObjects(crd);
    if (left > 0) {
      this.#note(name, "InstanceDeletionInProgress", "CustomResource deletion is in progress");
      this.#awaitObjects(name);
      return;
    }
    this.#note(name, "InstanceDeletionCompleted", "removed all instances", "False");
    const finalizers = crd.metadata.finalizers.filter((f) => f !== cleanupFinalizer);
    this.#deps.objects.update(
      customResourceDefinition,
      "",
      name,
      (old) => ({ ...old, metadata: { ...cloneJson(old.metadata), finalizers } }),
      ownWrite,
    );
  }

  /** @returns how many objects are left, because of finalizers of their own */
  #deleteObjects(crd: Crd): number {
    const { store, objects, registry } = this.#deps;
    const { name } = crd.metadata;
    // They are not the definition's.
    if (registry.hasBuiltIn(name)) return 0;
    const kind = this.#storedKind(crd);
    for (const entry of [...store.list(name)]) {
      if (kind && entry.object.metadata.deletionTimestamp === undefined)
        objects.delete(kind, entry.namespace, entry.name, {}, false);
      else if (!kind) store.remove(name, keyOf(entry.namespace, entry.name));
    }
    return store.count(name);
  }

  /** Any kind of the definition: for deletion they are alike. */
  #storedKind(crd: Crd): Kind | undefined {
    const version = crd.spec.versions[0];
    const retired = new AbortController().signal;
    const deps = { schema: this.#deps.schema, limit: this.#limit, retired, terminating: () => true };
    return version && customKind(crd, version, deps);
  }

  #awaitObjects(name: string): void {
    if (this.#waiting.has(name)) return;
    const { store } = this.#deps;
    const end = store.watch(name, store.revision, () => {
      if (store.count(name) > 0) return;
      this.#waiting.get(name)?.();
      this.#waiting.delete(name);
      this.#sync(name);
    });
    this.#waiting.set(name, end);
  }

  #note(name: string, reason: string, message: string, status = "True"): void {
    const condition: CrdCondition = { type: "Terminating", status, reason, message };
    this.#writeStatus(name, (old) => {
      const before = (old as Crd).status ?? {};
      const present = before.conditions?.find((c) => c.type === "Terminating");
      if (present?.reason === reason) return old;
      const conditions = withCondition(before.conditions ?? [], condition, timestamp());
      return { ...old, status: { ...before, conditions } };
    });
  }
}

/** What this server has itself stands in the way like another definition that came first. */
function builtInNames({ spec }: Crd): Crd {
  const { plural } = spec.names;
  return {
    metadata: { name: "" },
    spec: { ...spec, versions: [] },
    status: { acceptedNames: { plural, kind: "" } },
  } as unknown as Crd;
}
