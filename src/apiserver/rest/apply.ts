import { badRequest, conflict, notFound, StatusError } from "../errors.ts";
import type { Kind } from "../kinds/definition.ts";
import { apiVersionOf } from "../kinds/registry.ts";
import { cloneJson, type Dict, isDict, keyOf, type StoredObject } from "../object.ts";
import { type Applied, applyConfiguration } from "../patch/managed-fields.ts";
import { validateConfiguration } from "../patch/typed-validate.ts";
import type { Schema } from "../schema/schema.ts";
import type { Store } from "../store/index.ts";
import { check, type Expected } from "./body.ts";
import { YamlError } from "./go-yaml.ts";
import type { KindCall } from "./handler.ts";
import { flag } from "./list-options.ts";
import type { Objects, WriteOptions } from "./objects.ts";
import { timestamp } from "./time.ts";
import { strictness } from "./write-options.ts";

/** What server-side apply works with. */
export interface ApplyDeps {
  readonly store: Store;
  readonly schema: Schema;
  readonly objects: Objects;
}

/** What a subresource lets one change of an object. */
export interface Part {
  /** A configuration without what the subresource does not take. */
  only(configuration: Dict): Dict;
  /** The old object with the wanted one's part. Throws StatusError when it cannot be had. */
  with(old: StoredObject, wanted: Dict): Dict;
}

/**
 * Server-side apply: the object afterwards, and whether it is new. Throws StatusError.
 * @param given the body's value, see readApplied()
 */
export function applyObject(
  deps: ApplyDeps,
  request: KindCall,
  given: Dict,
  options: WriteOptions,
  part?: Part,
): { object: StoredObject; created: boolean } {
  const { kind, info } = request;
  const { subresource, manager } = options;
  const { store, schema, objects } = deps;
  const { type, decode } = kind;
  const expected = { schema, apiVersion: apiVersionOf(kind), kind: kind.kind, type, decode };
  const whole = readConfiguration(expected, request, given);
  const configuration = part ? part.only(whole) : whole;
  const statusApart = kind.status && subresource === "";
  const { sets } = objects;
  const owner = { manager, apiVersion: expected.apiVersion, subresource, now: timestamp(), statusApart, sets };
  const force = flag(info.query, "force");
  let finish: Applied["finish"] = () => {};
  const merge = (live: StoredObject | undefined): Dict => {
    const applied = applyConfiguration(schema, kind.type, live, configuration, owner, force);
    finish = applied.finish;
    const wanted = check(applied.object, expected, { validation: "Ignore", warn: () => {} });
    return part && live ? part.with(live, wanted) : wanted;
  };
  const all = { ...options, finish: (object: StoredObject) => finish(object) };
  if (store.get(kind.storage, keyOf(info.namespace, info.name)))
    return { object: objects.update(kind, info.namespace, info.name, merge, all), created: false };
  if (subresource) throw notFound(kind, info.name);
  request.mayCreate();
  refuseUid(kind, info.name, configuration);
  return { object: objects.create(kind, info.namespace, merge(undefined), all), created: true };
}

/** An object that is thought to exist cannot be created. */
function refuseUid(kind: Kind, name: string, configuration: Dict): void {
  const { uid } = configuration.metadata as { uid?: string };
  if (uid)
    throw conflict(
      kind,
      name,
      `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`,
    );
}

/** The applied configuration as it was written, found to fit its type. Throws StatusError. */
export function readConfiguration(expected: Expected, request: KindCall, given: Dict): Dict {
  const { kind, info } = request;
  if (given.apiVersion !== expected.apiVersion || given.kind !== expected.kind)
    throw badRequest(`invalid object type: ${gvkText(given.apiVersion, given.kind)}`);
  const configuration = cloneJson(given);
  const meta = isDict(configuration.metadata) ? configuration.metadata : {};
  if (meta.managedFields !== undefined && meta.managedFields !== null)
    throw badRequest("metadata.managedFields must be nil");
  validateConfiguration(expected.schema, expected.type, configuration);
  if (meta.name && meta.name !== info.name)
    throw badRequest(`the name of the object (${meta.name}) does not match the name on the URL (${info.name})`);
  if (kind.namespaced && meta.namespace && meta.namespace !== info.namespace)
    throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
  configuration.metadata = { ...meta, name: info.name, ...(kind.namespaced ? { namespace: info.namespace } : {}) };
  return configuration;
}

/** The value of a body that is applied. Throws StatusError 400. */
export async function readApplied(request: KindCall, body: Buffer): Promise<Dict> {
  try {
    const { value, faults } = await request.call.yaml.read(body);
    if (!isDict(value)) throw new YamlError("json: cannot unmarshal into Go value of type map[string]interface {}");
    const { validation, warn } = strictness(request);
    for (const fault of validation === "Ignore" ? [] : faults) {
      const text = `error converting YAML to JSON: ${fault}`;
      if (validation === "Strict") throw badRequest(`error strict decoding YAML: ${text}`);
      warn(text);
    }
    return value;
  } catch (error) {
    if (error instanceof StatusError || !(error instanceof YamlError)) throw error;
    throw badRequest(`error decoding YAML: error converting YAML to JSON: ${error.message}`);
  }
}

/** `apps/v1, Kind=Deployment`, as Go prints a kind. */
function gvkText(apiVersion: unknown, kind: unknown): string {
  const version = typeof apiVersion === "string" ? apiVersion : "";
  return `${version.includes("/") ? version : `/${version}`}, Kind=${typeof kind === "string" ? kind : ""}`;
}
