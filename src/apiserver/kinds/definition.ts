import type { PluginSwitch } from "../admission/names.ts";
import type { FieldErrors } from "../errors.ts";
import type { Dict, Meta, StoredObject } from "../object.ts";
import type { Schema } from "../schema/schema.ts";
import type { Entry } from "../store/index.ts";

/** Who asks. */
export interface User {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** A kind's type from the API with the metadata that the server keeps. */
export type Stored<T> = Omit<T, "metadata" | "apiVersion" | "kind"> & StoredObject & { metadata: Meta };

/** Gives out Service addresses and node ports; what is in use follows from the stored Services. */
export interface ServiceAllocator {
  /** Address families of the cluster, the first is the default. */
  readonly families: readonly ("IPv4" | "IPv6")[];
  /** A free address. Throws FieldProblem when the range is used up. */
  allocateIp(family: "IPv4" | "IPv6"): string;
  /** Why an address cannot be given to this Service, undefined when it can. `owner` is `namespace/name`. */
  ipProblem(ip: string, owner: string): string | undefined;
  /** A free node port. `taken` are ports that this very request uses already. */
  allocatePort(taken: ReadonlySet<number>): number;
  /** Why a node port cannot be given to this Service. */
  portProblem(port: number, protocol: string, owner: string): string | undefined;
}

/** What a kind's rules may look at and use while an object is written. */
export interface WriteContext {
  readonly user: User;
  /** The moment of the write, RFC 3339. */
  readonly now: string;
  readonly dryRun: boolean;
  readonly allocator: ServiceAllocator;
  /** Reads another object: resource as `plural.group` (core: plural alone). */
  get(resource: string, key: string): Entry | undefined;
  list(resource: string): readonly Entry[];
  /** Adds a Warning header to the answer. */
  warn(text: string): void;
  /** The object's name, for errors. */
  readonly name: string;
  /** What the object was, in the version of the request; undefined at creation. */
  readonly old?: StoredObject;
  readonly schema: Schema;
  /** Whether an admission plugin is on. */
  readonly pluginOn: PluginSwitch;
}

/** One column of a Table. */
export interface Column {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly description: string;
  /** 1: only with -o wide. */
  readonly priority: number;
}

/** Where the scale subresource finds its numbers. */
export interface ScaleRules {
  /** The label selector in its text form. */
  selector(object: StoredObject): string;
  /** Where a definition says where the numbers are. */
  readonly custom?: {
    /** The path of spec's number, for errors. */
    readonly path: string;
    /** The same path, field by field. */
    readonly fields: readonly string[];
    replicas(object: StoredObject): number | undefined;
    current(object: StoredObject): number | undefined;
    /** A copy of the object with another number. */
    withReplicas(object: StoredObject, count: number): Dict;
  };
}

/** What only kinds of custom objects have. */
export interface CustomRules {
  /** The schema of the kind's version (JSONSchemaProps). */
  readonly schema: Dict;
  /** Aborted when the definition changes or goes: watches end. */
  readonly retired: AbortSignal;
  /** Why no request can be served, where a conversion would be needed that is not there. */
  readonly refusal: string | undefined;
  /** Whether the definition is being deleted: nothing can be created. */
  terminating(): boolean;
}

/** What deletion does beyond removing the object. */
export interface DeleteRules {
  /** Seconds until the owner of the object (the kubelet) removes it, 0: at once. */
  gracePeriod?(object: StoredObject, asked: number | undefined): number;
  /** Whether something of the kind itself keeps a deleted object (a namespace's spec.finalizers). */
  keeps?(object: StoredObject): boolean;
  /** Changes a copy of the object when deletion begins. */
  begin?(object: StoredObject): void;
}

/** A kind of the API: everything that is particular to it. */
export interface Kind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly listKind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** Name in the schema, such as `core.v1.Pod`. */
  readonly type: string;
  /** Name in the store: `plural.group`, `plural` in the core group. */
  readonly storage: string;
  readonly verbs: readonly string[];
  /** Has a status subresource. */
  readonly status: boolean;
  /** A status given at creation counts (a node registers with its own). */
  readonly keepsStatusOnCreate: boolean;
  /** Changes of anything but metadata and status count in metadata.generation. */
  readonly generation: boolean;
  /** A PUT of an object that is not there creates it (upstream's AllowCreateOnUpdate). */
  readonly createOnUpdate: boolean;
  /** A PUT without resourceVersion writes over whatever is there (upstream's AllowUnconditionalUpdate). */
  readonly unconditionalUpdate: boolean;
  readonly scale: ScaleRules | undefined;
  readonly deletion: DeleteRules;
  /** Other subresources, by name, with what discovery says of them. */
  readonly subresources: Readonly<Record<string, SubresourceInfo>>;
  readonly columns: readonly Column[];
  /** Cells in the order of the columns. */
  row(object: StoredObject, now: number): unknown[];
  /** Field selectors beside metadata.name and metadata.namespace. */
  selectable(object: StoredObject): Readonly<Record<string, string>>;
  readonly selectableFields: readonly string[];
  /**
   * Brings JSON into the form that is kept, where the table of structures does not tell it; such kinds take no
   * protobuf. Throws TypeMismatch.
   * @param unknown collects the paths of unknown fields
   */
  readonly decode: ((schema: Schema, value: Dict, unknown: string[]) => Dict) | undefined;
  readonly custom: CustomRules | undefined;
  /** Sets defaults in place. */
  defaults(object: StoredObject): void;
  /** Completes an object that is to be created, after the defaults. */
  prepareCreate(object: StoredObject, context: WriteContext): void;
  /** Completes an update, after the defaults. */
  prepareUpdate(object: StoredObject, old: StoredObject, context: WriteContext): void;
  /** Which names are allowed. */
  readonly nameRule: NameRule;
  validate(object: StoredObject, errors: FieldErrors, context: WriteContext): void;
  validateUpdate(object: StoredObject, old: StoredObject, errors: FieldErrors): void;
  /** What is valid and hardly meant, for Warning headers; `old` is undefined at creation. */
  warnings(object: StoredObject, old: StoredObject | undefined): readonly string[];
  /** Whether an object that is not valid in itself is compared with the old one all the same. */
  readonly comparesInvalid: boolean;
  /** Completes a write of the status, or of another subresource that writes a part of it. */
  prepareStatus(object: StoredObject, old: StoredObject, context: WriteContext, subresource: string): void;
  validateStatus(object: StoredObject, old: StoredObject, errors: FieldErrors, subresource: string): void;
  /** A Warning that each answer of this kind carries. */
  readonly warning: string | undefined;
  /** Turns a stored object into this version, where the store keeps another. */
  fromStored(object: StoredObject): StoredObject;
  toStored(object: StoredObject): StoredObject;
}

/** What discovery says of a subresource. */
export interface SubresourceInfo {
  readonly kind: string;
  readonly group?: string;
  readonly version?: string;
  readonly verbs: readonly string[];
}

/** Checks an object's name: problems as texts. */
export type NameRule = (name: string, prefix: boolean) => string[];

/** The verbs of an ordinary kind, in discovery's order. */
export const allVerbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"] as const;

/** What a kind's file writes down; the rest gets ordinary values. T is the kind's type. */
export interface KindRules<T extends StoredObject> {
  readonly group: string;
  readonly version?: string;
  readonly kind: string;
  readonly plural: string;
  readonly type: string;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly namespaced?: boolean;
  readonly storage?: string;
  readonly verbs?: readonly string[];
  readonly status?: boolean;
  readonly keepsStatusOnCreate?: boolean;
  readonly generation?: boolean;
  readonly createOnUpdate?: boolean;
  readonly unconditionalUpdate?: boolean;
  readonly scale?: { selector(object: T): string };
  readonly deletion?: {
    gracePeriod?(object: T, asked: number | undefined): number;
    keeps?(object: T): boolean;
    begin?(object: T): void;
  };
  readonly subresources?: Readonly<Record<string, SubresourceInfo>>;
  readonly columns?: readonly Column[];
  row?(object: T, now: number): unknown[];
  selectable?(object: T): Record<string, string>;
  readonly selectableFields?: readonly string[];
  readonly decode?: Kind["decode"];
  defaults?(object: T): void;
  prepareCreate?(object: T, context: WriteContext): void;
  prepareUpdate?(object: T, old: T, context: WriteContext): void;
  readonly nameRule?: NameRule;
  validate?(object: T, errors: FieldErrors, context: WriteContext): void;
  validateUpdate?(object: T, old: T, errors: FieldErrors): void;
  warnings?(object: T, old: T | undefined): readonly string[];
  readonly comparesInvalid?: boolean;
  prepareStatus?(object: T, old: T, context: WriteContext, subresource: string): void;
  validateStatus?(object: T, old: T, errors: FieldErrors, subresource: string): void;
  readonly warning?: string;
  fromStored?(object: StoredObject): T;
  toStored?(object: T): StoredObject;
}
