import { badRequest, notFound, StatusError, unsupportedMediaType } from "../errors.ts";
import type { Kind } from "../kinds/definition.ts";
import { apiVersionOf } from "../kinds/registry.ts";
import { cloneJson, type Dict, isDict, type StoredObject } from "../object.ts";
import { applyJsonPatch } from "../patch/json-patch.ts";
import { type Applied, applyConfiguration } from "../patch/managed-fields.ts";
import { applyMergePatch } from "../patch/merge-patch.ts";
import { applyStrategicPatch } from "../patch/strategic.ts";
import { validateConfiguration } from "../patch/typed-validate.ts";
import type { Schema } from "../schema/schema.ts";
import type { Store } from "../store/index.ts";
import { acceptedForm } from "./accept.ts";
import {
  check,
  type Expected,
  fieldValidation,
  parseJson,
  parseYamlBody,
  readObject,
  type Strictness,
} from "./body.ts";
import { type Call, jsonReply, type Reply } from "./call.ts";
import type { DeleteOptions } from "./deletion.ts";
import type { KindCall } from "./handler.ts";
import { includeObject, listPage } from "./list.ts";
import { flag } from "./list-options.ts";
import { keyOf, type Objects, type WriteOptions } from "./objects.ts";
import { columnsJson, partialMetadata, rowJson, tableJson } from "./table.ts";
import { timestamp } from "./time.ts";

const patchTypes = [
  "application/json-patch+json",
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
  "application/apply-patch+yaml",
];

/** The writing verbs of ordinary kinds. */
export class Writes {
  readonly #store: Store;
  readonly #schema: Schema;
  readonly #objects: Objects;

  constructor(deps: { store: Store; schema: Schema; objects: Objects }) {
    this.#store = deps.store;
    this.#schema = deps.schema;
    this.#objects = deps.objects;
  }

  /** POST to a collection. */
  async create(request: KindCall): Promise<Reply> {
    const { kind, info, call } = request;
    const draft = await readObject(call, this.#expected(kind), strictness(request));
    const object = this.#objects.create(kind, info.namespace, draft, writeOptions(request));
    await this.#store.settled();
    return this.#answer(request, kind.fromStored(object), 201);
  }

  /** PUT of an object, or of its subresource. */
  async update(request: KindCall, subresource = ""): Promise<Reply> {
    const { kind, info, call } = request;
    const draft = await readObject(call, this.#expected(kind), strictness(request));
    const object = this.#objects.update(kind, info.namespace, info.name, () => draft, {
      ...writeOptions(request),
      subresource,
    });
    await this.#store.settled();
    return this.#answer(request, kind.fromStored(object), 200);
  }

  /** PATCH of an object, or of its subresource. */
  async patch(request: KindCall, subresource = ""): Promise<Reply> {
    const { kind, info, call } = request;
    const body = await call.body();
    const type = mediaType(call, kind);
    if (type === "application/apply-patch+yaml") return this.#apply(request, body, subresource);
    const patch = parseJson(body);
    const expected = this.#expected(kind);
    const change = (old: StoredObject) =>
      check(applyPatch(this.#schema, type, kind.type, old, patch), expected, strictness(request));
    const object = this.#objects.update(kind, info.namespace, info.name, change, {
      ...writeOptions(request),
      subresource,
    });
    await this.#store.settled();
    return this.#answer(request, kind.fromStored(object), 200);
  }

  async #apply(request: KindCall, body: Buffer, subresource: string): Promise<Reply> {
    const { kind, info } = request;
    const manager = info.query.get("fieldManager");
    if (!manager)
      throw new StatusError(
        422,
        "Invalid",
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
      );
    const configuration = this.#configuration(request, body);
    const owner = {
      manager,
      apiVersion: apiVersionOf(kind),
      subresource,
      now: timestamp(),
      statusApart: kind.status && subresource === "",
    };
    const force = flag(info.query, "force");
    const merge = (live: StoredObject | undefined): Applied => {
      const made = applyConfiguration(this.#schema, kind.type, live, configuration, owner, force);
      return { ...made, object: check(made.object, this.#expected(kind), { validation: "Ignore", warn: () => {} }) };
    };
    const exists = this.#store.get(kind.storage, keyOf(info.namespace, info.name)) !== undefined;
    if (!exists && subresource) throw notFound(kind, info.name);
    let applied: Applied | undefined;
    const options = {
      ...writeOptions(request),
      subresource,
      finish: (object: StoredObject) => applied?.finish(object),
    };
    if (!exists) applied = merge(undefined);
    const object = exists
      ? this.#objects.update(kind, info.namespace, info.name, (old) => (applied = merge(old)).object, options)
      : this.#objects.create(kind, info.namespace, cloneJson((applied as Applied).object), options);
    await this.#store.settled();
    return this.#answer(request, kind.fromStored(object), exists ? 200 : 201);
  }

  /** The applied configuration as it was written, found to fit its type. */
  #configuration(request: KindCall, body: Buffer): Dict {
    const { kind, info } = request;
    const { apiVersion, kind: kindName } = this.#expected(kind);
    const given = parseYamlBody(body);
    if (!isDict(given)) throw badRequest("error decoding YAML: an object is wanted");
    if (given.apiVersion !== apiVersion || given.kind !== kindName)
      throw badRequest(`invalid object type: ${gvkText(given.apiVersion, given.kind)}`);
    const configuration = cloneJson(given);
    const meta = isDict(configuration.metadata) ? configuration.metadata : {};
    if (meta.managedFields !== undefined && meta.managedFields !== null)
      throw badRequest("metadata.managedFields must be nil");
    validateConfiguration(this.#schema, kind.type, configuration);
    if (meta.name && meta.name !== info.name)
      throw badRequest(`the name of the object (${meta.name}) does not match the name on the URL (${info.name})`);
    configuration.metadata = { ...meta, name: info.name, ...(kind.namespaced ? { namespace: info.namespace } : {}) };
    if (kind.namespaced && meta.namespace && meta.namespace !== info.namespace)
      throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
    return configuration;
  }

  /** DELETE of an object. */
  async delete(request: KindCall): Promise<Reply> {
    const { kind, info, call } = request;
    const options = await readDeleteOptions(call, info.query, this.#schema);
    const dryRun = isDryRun(info.query) || options.dryRun?.includes("All") === true;
    const { object, gone } = this.#objects.delete(kind, info.namespace, info.name, options, dryRun, request.user);
    await this.#store.settled();
    if (!gone || kind.plural === "pods") return this.#answer(request, kind.fromStored(object), 200);
    return jsonReply({
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Success",
      details: {
        name: info.name,
        ...(kind.group ? { group: kind.group } : {}),
        kind: kind.plural,
        uid: object.metadata.uid,
      },
    });
  }

  /** DELETE of a collection: what the selectors choose. */
  async deleteCollection(request: KindCall): Promise<Reply> {
    const { kind, info, call } = request;
    const options = await readDeleteOptions(call, info.query, this.#schema);
    const dryRun = isDryRun(info.query) || options.dryRun?.includes("All") === true;
    const { entries, metadata } = listPage(this.#store, kind, info);
    const items = entries.map(
      (e) => this.#objects.delete(kind, e.namespace, e.name, options, dryRun, request.user).object,
    );
    await this.#store.settled();
    return jsonReply({
      kind: kind.listKind,
      apiVersion: apiVersionOf(kind),
      metadata: { ...metadata, resourceVersion: String(this.#store.revision) },
      items: items.map((o) => kind.fromStored(o)),
    });
  }

  #expected(kind: Kind): Expected {
    const { type, decode } = kind;
    return { schema: this.#schema, apiVersion: apiVersionOf(kind), kind: kind.kind, type, decode };
  }

  #answer(request: KindCall, object: StoredObject, status: number): Reply {
    const { kind, info, call } = request;
    switch (acceptedForm(call.headers.accept)) {
      case "table":
        return jsonReply(
          tableJson({}, columnsJson(kind), [rowJson(kind, object, includeObject(info.query), Date.now())]),
          status,
        );
      case "metadata":
        return jsonReply(partialMetadata(object), status);
      case "object": {
        // What was stored has its JSON already.
        const entry = this.#store.get(kind.storage, keyOf(object.metadata.namespace, object.metadata.name));
        return jsonReply(entry?.object === object ? entry.json : object, status);
      }
    }
  }
}

/** `apps/v1, Kind=Deployment`, as Go prints a kind. */
function gvkText(apiVersion: unknown, kind: unknown): string {
  const version = typeof apiVersion === "string" ? apiVersion : "";
  return `${version.includes("/") ? version : `/${version}`}, Kind=${typeof kind === "string" ? kind : ""}`;
}

function mediaType(call: Call, kind: Kind): string {
  const type = call.headers["content-type"]?.split(";")[0]?.trim() ?? "";
  // How custom objects merge strategically nothing says.
  const taken = kind.custom ? patchTypes.filter((t) => !t.includes("strategic")) : patchTypes;
  if (!taken.includes(type)) throw unsupportedMediaType(taken);
  return type;
}

/** Applies a patch that is not server-side apply. Throws StatusError 400, 422. */
export function applyPatch(
  schema: Schema,
  mediaTypeName: string,
  type: string,
  old: StoredObject,
  patch: unknown,
): unknown {
  if (mediaTypeName === "application/json-patch+json") return applyJsonPatch(old, patch);
  if (!isDict(patch))
    throw badRequest("error decoding patch: json: cannot unmarshal into Go value of type map[string]interface {}");
  if (mediaTypeName === "application/merge-patch+json") return applyMergePatch(old, patch);
  return applyStrategicPatch(schema, type, old as Dict, patch);
}

function strictness(request: KindCall): Strictness {
  return { validation: fieldValidation(request.info.query), warn: (text) => request.warnings.push(text) };
}

function isDryRun(query: URLSearchParams): boolean {
  const values = query.getAll("dryRun").filter(Boolean);
  const bad = values.find((v) => v !== "All");
  if (bad)
    throw new StatusError(
      422,
      "Invalid",
      `CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: "${bad}": supported values: "All"`,
    );
  return values.length > 0;
}

/** Options that every write takes from the request. */
export function writeOptions(request: KindCall): WriteOptions {
  const { user, info, call, warnings } = request;
  const agent = (call.headers["user-agent"] ?? "").split("/")[0] || "unknown";
  return {
    user,
    manager: (info.query.get("fieldManager") || agent).slice(0, 128),
    dryRun: isDryRun(info.query),
    subresource: "",
    warn: (text) => warnings.push(text),
  };
}

async function readDeleteOptions(call: Call, query: URLSearchParams, schema: Schema): Promise<DeleteOptions> {
  const body = await call.body();
  const type = call.headers["content-type"] ?? "";
  const expected = { schema, apiVersion: "v1", kind: "DeleteOptions", type: "meta.v1.DeleteOptions" };
  // Clients send DeleteOptions under any group's version; only its fields matter.
  let options: Dict = {};
  if (body.length > 0 && type.includes("protobuf"))
    options = await readObject(call, expected, { validation: "Ignore", warn: () => {} });
  else if (body.length > 0) {
    const value = parseJson(body);
    options = check(isDict(value) ? { ...value, apiVersion: "v1", kind: "DeleteOptions" } : value, expected, {
      validation: "Ignore",
      warn: () => {},
    });
  }
  const grace = query.get("gracePeriodSeconds");
  const policy = query.get("propagationPolicy");
  return {
    ...(policy ? { propagationPolicy: policy } : {}),
    ...(grace ? { gracePeriodSeconds: Number(grace) } : {}),
    ...options,
  };
}
