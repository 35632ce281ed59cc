import { randomUUID } from "node:crypto";
import { equalJson } from "#base/json.ts";
import type { PluginSwitch } from "../admission/names.ts";
import type { AdmissionCheck, Admitted, PluginCheck } from "../auth/admission.ts";
import { alreadyExists, badRequest, FieldErrors, forbidden, noFreeName, notFound, StatusError } from "../errors.ts";
import type { Kind, ServiceAllocator, User, WriteContext } from "../kinds/definition.ts";
import { validateMeta, validateMetaUpdate } from "../kinds/metadata.ts";
import { randomSuffix } from "../kinds/random-name.ts";
import { apiVersionOf } from "../kinds/registry.ts";
import { cloneJson, type Dict, keyOf, type StoredObject } from "../object.ts";
import { trackUpdate } from "../patch/managed-fields.ts";
import { sameButTimes } from "../patch/managers.ts";
import { SharedSets } from "../patch/shared-sets.ts";
import type { Schema } from "../schema/schema.ts";
import { type Entry, objectLimit, type Store, TooLargeError } from "../store/index.ts";
import { beginDeletion, checkPreconditions, type DeleteOptions, isGone, setPropagation } from "./deletion.ts";
import { isLongerThan } from "./size.ts";
import { SecondClock } from "./time.ts";
import { carryOver, changesPodPart, checkIdentity, countGeneration, writesStatus } from "./update-rules.ts";

/** How a write is done. */
export interface WriteOptions {
  readonly user: User;
  readonly manager: string;
  readonly dryRun: boolean;
  /** `status`, another subresource, or empty. */
  readonly subresource: string;
  warn(text: string): void;
  /** Writes managedFields itself (server-side apply); else the changes count as the manager's update. */
  readonly finish?: (object: StoredObject) => void;
}

/**
 * Creates, updates and deletes objects with their kind's rules: defaults, validation, admission, generation, ownership
 * of fields, graceful deletion and finalizers. Everything runs without awaiting, so no other write can come between.
 */
export class Objects {
  /** What managers own, shared by all objects. */
  readonly sets = new SharedSets();
  readonly #clock = new SecondClock();
  readonly #store: Store;
  readonly #schema: Schema;
  readonly #allocator: ServiceAllocator;
  readonly #admission: readonly AdmissionCheck[];
  readonly #pluginOn: PluginSwitch;

  constructor(deps: {
    store: Store;
    schema: Schema;
    allocator: ServiceAllocator;
    admission?: readonly PluginCheck[];
    /** Which admission plugins are on; default: all. */
    pluginOn?: PluginSwitch;
  }) {
    this.#store = deps.store;
    this.#schema = deps.schema;
    this.#allocator = deps.allocator;
    const on = deps.pluginOn ?? (() => true);
    this.#pluginOn = on;
    this.#admission = (deps.admission ?? [])
      .filter(({ plugin }) => plugin === undefined || on(plugin))
      .map(({ check }) => check);
  }

  /** Creates an object. `draft` belongs to the caller no more. Throws StatusError. */
  create(kind: Kind, namespace: string, draft: Dict, options: WriteOptions): StoredObject {
    let object = this.#newObject(kind, namespace, draft);
    const context = this.#context(object, options);
    this.#checkNamespace(kind, object);
    object = kind.toStored(object);
    kind.defaults(object);
    if (isTooLarge(kind, object)) throw new TooLargeError();
    // As upstream, ownership is of what was asked for and its defaults: what admission and storage add is nobody's.
    this.#own(kind, undefined, object, options);
    kind.prepareCreate(object, context);
    const errors = new FieldErrors({ kind: kind.kind, group: kind.group, name: object.metadata.name });
    validateMeta(kind, object, errors);
    kind.validate(object, errors, context);
    errors.throwIfAny(kind.kind, kind.group, object.metadata.name);
    for (const text of kind.warnings(object, undefined)) options.warn(text);
    this.#admit("CREATE", kind, object, undefined, options);
    const key = keyOf(object.metadata.namespace, object.metadata.name);
    if (this.#store.get(kind.storage, key)) throw alreadyExists(kind, object.metadata.name);
    return options.dryRun ? object : this.#store.put(kind.storage, key, object).object;
  }

  /**
   * Updates an object to what `change` makes of the present one, in the kind's own version. `change` gets the shared
   * object and returns a new one. Throws StatusError.
   */
  update(
    kind: Kind,
    namespace: string,
    name: string,
    change: (old: StoredObject) => Dict,
    options: WriteOptions,
  ): StoredObject {
    const key = keyOf(namespace, name);
    const entry = this.#store.get(kind.storage, key);
    if (!entry) throw notFound(kind, name);
    const old = entry.object;
    const draft = cloneJson(change(kind.fromStored(old))) as StoredObject;
    checkIdentity(kind, old, draft, namespace, name);
    let object = kind.toStored(draft);
    carryOver(kind, old, object, options.subresource);
    const context = { ...this.#context(object, options), old: kind.fromStored(old) };
    kind.defaults(object);
    if (isTooLarge(kind, object)) throw new TooLargeError();
    this.#own(kind, old, object, options);
    if (options.subresource === "") kind.prepareUpdate(object, old, context);
    if (writesStatus(options.subresource)) kind.prepareStatus(object, old, context, options.subresource);
    const errors = new FieldErrors({ kind: kind.kind, group: kind.group, name });
    validateMeta(kind, object, errors);
    validateMetaUpdate(object, old, errors);
    const whole = options.subresource === "" || options.subresource === "scale" || kind.custom;
    if (whole || changesPodPart(options.subresource)) kind.validate(object, errors, context);
    // Only a whole object can be compared with the old one; a pod's parts have been.
    if (whole && (errors.causes.length === 0 || kind.comparesInvalid)) kind.validateUpdate(object, old, errors);
    if (writesStatus(options.subresource)) kind.validateStatus(object, old, errors, options.subresource);
    errors.throwIfAny(kind.kind, kind.group, name);
    if (options.subresource === "") for (const text of kind.warnings(object, old)) options.warn(text);
    this.#admit("UPDATE", kind, object, old, options);
    if (kind.generation && options.subresource !== "status") countGeneration(kind, old, object);
    if (sameButTimes(object, old)) return old;
    if (options.dryRun) return object;
    if (isGone(kind, object)) {
      const removed = this.#store.remove(kind.storage, key) as Entry;
      return { ...object, metadata: { ...object.metadata, resourceVersion: String(removed.revision) } };
    }
    object = this.#store.put(kind.storage, key, object).object;
    return object;
  }

  /** Begins or completes a deletion, by a user where one asked for it. */
  delete(
    kind: Kind,
    namespace: string,
    name: string,
    options: DeleteOptions,
    dryRun: boolean,
    user?: User,
  ): { object: StoredObject; gone: boolean } {
    const key = keyOf(namespace, name);
    const entry = this.#store.get(kind.storage, key);
    if (!entry) throw notFound(kind, name);
    const old = entry.object;
    if (user) this.#admit("DELETE", kind, undefined, old, { user, subresource: "" });
    checkPreconditions(kind, old, options);
    const object = cloneJson(old);
    setPropagation(object, options);
    const grace = kind.deletion.gracePeriod?.(old, options.gracePeriodSeconds) ?? 0;
    const before = old.metadata.deletionGracePeriodSeconds;
    const shorter = before !== undefined && grace < before;
    if (old.metadata.deletionTimestamp === undefined || shorter)
      beginDeletion(kind, object, before === undefined ? grace : Math.min(grace, before));
    const gone = isGone(kind, object);
    if (dryRun) return { object, gone };
    if (gone) return { object: (this.#store.remove(kind.storage, key) as Entry).object, gone };
    if (equalJson(object, old)) return { object: old, gone };
    return { object: this.#store.put(kind.storage, key, object).object, gone };
  }

  #newObject(kind: Kind, namespace: string, draft: Dict): StoredObject {
    const object = draft as StoredObject;
    object.metadata ??= { name: "" };
    const meta = object.metadata;
    if (kind.namespaced && namespace) {
      if (meta.namespace && meta.namespace !== namespace) {
        throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
      }
      meta.namespace = namespace;
    }
    if (meta.resourceVersion) throw badRequest("resourceVersion should not be set on objects to be created");
    if (!meta.name && meta.generateName) meta.name = this.#generateName(kind, meta.namespace, meta.generateName);
    if (!meta.name) {
      const errors = new FieldErrors();
      errors.required("metadata.name", "name or generateName is required");
      errors.throwIfAny(kind.kind, kind.group, "");
    }
    meta.uid = randomUUID();
    meta.creationTimestamp = this.#clock.now();
    for (const field of ["deletionTimestamp", "deletionGracePeriodSeconds", "generation", "managedFields"] as const)
      delete meta[field];
    if (kind.generation) meta.generation = 1;
    if (kind.status && !kind.keepsStatusOnCreate) delete object.status;
    return object;
  }

  #generateName(kind: Kind, namespace: string | undefined, prefix: string): string {
    for (let attempt = 0; attempt < 8; attempt++) {
      const name = prefix.slice(0, 58) + randomSuffix();
      if (!this.#store.get(kind.storage, keyOf(namespace, name))) return name;
    }
    throw noFreeName(kind, prefix);
  }

  /** Throws StatusError when an admission plugin refuses a write. */
  admit(write: Admitted): void {
    for (const check of this.#admission) check(write);
  }

  #admit(
    operation: Admitted["operation"],
    kind: Kind,
    object: StoredObject | undefined,
    old: StoredObject | undefined,
    { user, subresource, warn }: Pick<WriteOptions, "user" | "subresource"> & Partial<Pick<WriteOptions, "warn">>,
  ): void {
    const { name, namespace = "" } = (object ?? (old as StoredObject)).metadata;
    this.admit({
      ...{ operation, kind, namespace, name, user, subresource },
      ...(object ? { object } : {}),
      ...(old ? { old } : {}),
      ...(warn ? { warn } : {}),
    });
  }

  /** As the NamespaceLifecycle admission plugin. */
  #checkNamespace(kind: Kind, object: StoredObject): void {
    const { namespace = "", name } = object.metadata;
    if (!kind.namespaced || !namespace || !this.#pluginOn("NamespaceLifecycle")) return;
    const found = this.#store.get("namespaces", namespace)?.object;
    if (!found) throw notFound({ group: "", plural: "namespaces" }, namespace);
    if (found.metadata.deletionTimestamp === undefined) return;
    const error = forbidden(
      kind,
      name,
      `unable to create new content in namespace ${namespace} because it is being terminated`,
    );
    const causes = [
      {
        reason: "NamespaceTerminating",
        message: `namespace ${namespace} is being terminated`,
        field: "metadata.namespace",
      },
    ];
    throw new StatusError(403, "Forbidden", error.message, { ...error.details, causes });
  }

  #own(kind: Kind, old: StoredObject | undefined, object: StoredObject, options: WriteOptions): void {
    if (options.finish) {
      options.finish(object);
      return;
    }
    const owner = {
      manager: options.manager,
      apiVersion: apiVersionOf(kind),
      subresource: options.subresource,
      now: this.#clock.now(),
      statusApart: kind.status && options.subresource === "",
      sets: this.sets,
    };
    const written = kind.fromStored(object);
    trackUpdate(this.#schema, kind.type, old && kind.fromStored(old), written, owner);
    if (written === object) return;
    const { managedFields } = written.metadata;
    if (managedFields) object.metadata.managedFields = managedFields;
    else delete object.metadata.managedFields;
  }

  #context(object: StoredObject, options: WriteOptions): WriteContext {
    return {
      user: options.user,
      now: this.#clock.now(),
      dryRun: options.dryRun,
      allocator: this.#allocator,
      get: (resource, key) => this.#store.get(resource, key),
      list: (resource) => this.#store.list(resource),
      warn: options.warn,
      name: object.metadata.name,
      schema: this.#schema,
      pluginOn: this.#pluginOn,
    };
  }
}

/** Whether the store would refuse an object, seen before its validation. ConfigMaps and Secrets have a limit of their own, whose words come first. */
function isTooLarge(kind: Kind, object: StoredObject): boolean {
  const limitsItself = kind.group === "" && (kind.kind === "ConfigMap" || kind.kind === "Secret");
  return !limitsItself && isLongerThan(object, objectLimit);
}
