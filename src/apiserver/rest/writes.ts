import { FieldErrors } from "../errors.ts";
import type { Kind } from "../kinds/definition.ts";
import { apiVersionOf } from "../kinds/registry.ts";
import { type Dict, isDict, keyOf, type StoredObject } from "../object.ts";
import type { Schema } from "../schema/schema.ts";
import type { Store } from "../store/index.ts";
import { acceptedForm } from "./accept.ts";
import { applyObject, readApplied } from "./apply.ts";
import { check, type Expected, parseBody, readObject } from "./body.ts";
import { type Call, jsonReply, type Reply } from "./call.ts";
import type { DeleteOptions } from "./deletion.ts";
import type { KindCall } from "./handler.ts";
import { includeObject, listPage } from "./list.ts";
import { flag, notSupported, numberOf } from "./list-options.ts";
import type { Objects, WriteOptions } from "./objects.ts";
import { patchTypeOf, readPatch } from "./patches.ts";
import { columnsJson, partialMetadata, rowJson, tableJson } from "./table.ts";
import { checkName, otherUid } from "./update-rules.ts";
import { checkDryRun, strictness, writeOptions } from "./write-options.ts";

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
    const options = writeOptions(request);
    const draft = await readObject(call, this.#expected(kind), strictness(request));
    const object = this.#objects.create(kind, info.namespace, draft, options);
    await this.#store.settled();
    return this.#answer(request, kind.fromStored(object), 201);
  }

  /** PUT of an object, or of its subresource. */
  async update(request: KindCall, subresource = ""): Promise<Reply> {
    const { kind, info, call } = request;
    const options = { ...writeOptions(request), subresource };
    const draft = await readObject(call, this.#expected(kind), strictness(request));
    const known = this.#store.get(kind.storage, keyOf(info.namespace, info.name));
    const creates = !known && subresource === "" && kind.createOnUpdate;
    const object = creates
      ? this.#createByUpdate(request, draft, options)
      : this.#objects.update(kind, info.namespace, info.name, () => draft, options);
    await this.#store.settled();
    return this.#answer(request, kind.fromStored(object), creates ? 201 : 200);
  }

  /** An update that found nothing: of some kinds that is a creation, for those who may create. */
  #createByUpdate(request: KindCall, draft: Dict, options: WriteOptions): StoredObject {
    const { kind, info, mayCreate } = request;
    mayCreate();
    const meta = checkName(kind, draft as StoredObject, info.namespace, info.name);
    if (meta.uid) throw otherUid(kind, keyOf(info.namespace, info.name), meta.uid);
    delete meta.resourceVersion;
    return this.#objects.create(kind, info.namespace, draft, options);
  }

  /** PATCH of an object, or of its subresource. */
  async patch(request: KindCall, subresource = ""): Promise<Reply> {
    const { kind, info, call } = request;
    const type = patchTypeOf(call, kind);
    const options = { ...writeOptions(request), subresource };
    const body = await call.body();
    if (type === "apply") {
      const deps = { store: this.#store, schema: this.#schema, objects: this.#objects };
      const { object, created } = applyObject(deps, request, await readApplied(request, body), options);
      await this.#store.settled();
      return this.#answer(request, kind.fromStored(object), created ? 201 : 200);
    }
    const patch = readPatch(type, body, this.#expected(kind), strictness(request));
    const object = this.#objects.update(kind, info.namespace, info.name, (old) => patch.apply(old), options);
    await this.#store.settled();
    return this.#answer(request, kind.fromStored(object), 200);
  }

  /** DELETE of an object. */
  async delete(request: KindCall): Promise<Reply> {
    const { kind, info, call } = request;
    const options = await readDeleteOptions(call, info.query, this.#schema);
    const dryRun = (options.dryRun ?? []).length > 0;
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
    const dryRun = (options.dryRun ?? []).length > 0;
    const { entries, metadata } = listPage(this.#store, kind, info);
    // A page of a list that began earlier may name what is gone by now.
    const items = entries
      .filter((e) => this.#store.get(kind.storage, e.key))
      .map((e) => this.#objects.delete(kind, e.namespace, e.name, options, dryRun, request.user).object);
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

/** DeleteOptions from the body, or from the query where there is no body. Throws StatusError 400 and 422. */
async function readDeleteOptions(call: Call, query: URLSearchParams, schema: Schema): Promise<DeleteOptions> {
  const body = await call.body();
  const type = call.headers["content-type"] ?? "";
  const expected = { schema, apiVersion: "v1", kind: "DeleteOptions", type: "meta.v1.DeleteOptions" };
  const lenient = { validation: "Ignore" as const, warn: () => {} };
  // Clients send DeleteOptions under any group's version; only its fields matter.
  let given: Dict = {};
  if (body.length > 0 && type.includes("protobuf")) given = await readObject(call, expected, lenient);
  else if (body.length > 0) {
    const { value } = await parseBody(body, type, expected, call.yaml);
    given = check(isDict(value) ? { ...value, apiVersion: "v1", kind: "DeleteOptions" } : value, expected, lenient);
  }
  const grace = numberOf(query, "gracePeriodSeconds");
  const policy = query.get("propagationPolicy");
  const options: DeleteOptions & { orphanDependents?: boolean } = {
    ...(policy ? { propagationPolicy: policy } : {}),
    ...(grace === undefined ? {} : { gracePeriodSeconds: grace }),
    ...(query.has("orphanDependents") ? { orphanDependents: flag(query, "orphanDependents") } : {}),
    ...(query.has("dryRun") ? { dryRun: query.getAll("dryRun") } : {}),
    ...given,
  };
  checkDeleteOptions(options);
  return options;
}

const policies = ["Foreground", "Background", "Orphan"];

function checkDeleteOptions({ propagationPolicy, orphanDependents, dryRun }: DeleteOptions): void {
  const errors = new FieldErrors();
  if (orphanDependents !== undefined && propagationPolicy !== undefined)
    errors.invalid(
      "propagationPolicy",
      propagationPolicy,
      "orphanDependents and deletionPropagation cannot be both set",
    );
  if (propagationPolicy !== undefined && !policies.includes(propagationPolicy))
    errors.causes.push(notSupported("propagationPolicy", propagationPolicy, [...policies, "nil"]));
  checkDryRun(dryRun ?? [], errors);
  errors.throwIfAny("DeleteOptions", "meta.k8s.io", "");
}
