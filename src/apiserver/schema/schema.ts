import { definitionStructure } from "./apiextensions.ts";
import { isAtomicMap, isAtomicType, type MergeRule, mergeRules } from "./merge-keys.ts";
import { metricsStructure } from "./metrics-structure.ts";
import { structure } from "./structure.ts";

/**
 * What a field holds: text, int32, int64, double, bool, bytes (base64 in JSON), another structure, or one of the types
 * with a JSON form of their own.
 */
export type FieldKind =
  | "string"
  | "int32"
  | "int64"
  | "double"
  | "bool"
  | "bytes"
  | "struct"
  | "Time"
  | "MicroTime"
  | "Duration"
  | "Quantity"
  | "IntOrString"
  | "FieldsV1"
  | "RawExtension"
  /** A list of strings; on the protobuf wire a message of its own, so that it can be a map's value. */
  | "ExtraValue";

/** One field of a structure, by its JSON name. */
export interface Field {
  readonly name: string;
  readonly kind: FieldKind;
  /** Structure's name where kind is struct. */
  readonly type: string;
  readonly shape: "one" | "list" | "map";
  /** A pointer in Go: an explicit zero is kept. */
  readonly pointer: boolean;
  readonly required: boolean;
  /** Protobuf field number; 0 for fields that protobuf does not carry. */
  readonly number: number;
  /** On the protobuf wire a message of its own, in JSON its fields stand in the parent. */
  readonly inline: boolean;
  readonly merge: MergeRule;
  /** Owned as a whole in server-side apply. */
  readonly atomic: boolean;
  /** The value of a field that is left out, where a schema says it. */
  readonly default?: unknown;
}

/** A structure: its JSON fields (inlined ones included) and its protobuf fields. */
export interface ObjectType {
  readonly name: string;
  readonly fields: ReadonlyMap<string, Field>;
  readonly byNumber: ReadonlyMap<number, Field>;
  /** Names of the fields that are structures held in place: in Go they are there, empty, as soon as their holder is. */
  readonly inPlace: readonly string[];
  /** What its fields lead to, filled as it is asked for. */
  readonly children: Map<string, Node>;
}

/** How the value below a path element is made up. */
export interface Node {
  readonly type: ObjectType | undefined;
  readonly field: Field | undefined;
  /** Whether this is an item of a list or map, not a field of a structure. */
  readonly item: boolean;
}

/** Whether a field is a structure that is held in place, without a pointer. */
export function isInPlace(field: Field): boolean {
  return field.shape === "one" && (field.merge.embedded === true || field.type === "meta.v1.ObjectMeta");
}

const scalars: Readonly<Record<string, FieldKind>> = {
  s: "string",
  i: "int32",
  l: "int64",
  d: "double",
  b: "bool",
  y: "bytes",
};
const special = new Set(["Time", "MicroTime", "Duration", "Quantity", "IntOrString", "FieldsV1", "RawExtension"]);

/**
 * The structures of the API by short names such as `core.v1.Pod`, read from the generated table when first asked for.
 */
export class Schema {
  readonly #lines = new Map<string, string>();
  readonly #types = new Map<string, ObjectType>();
  readonly #custom = new Map<string, (name: string) => ObjectType | undefined>();
  readonly #rules = mergeRules();

  constructor() {
    for (const line of [structure, definitionStructure, metricsStructure].flatMap((table) => table.split("\n"))) {
      const space = line.indexOf(" ");
      if (space > 0) this.#lines.set(line.slice(0, space), line.slice(space + 1));
    }
  }

  /** A structure that must exist. Throws for unknown names. */
  type(name: string): ObjectType {
    const known = this.#types.get(name);
    if (known) return known;
    const custom = this.#custom.get(name.split("#")[0] as string)?.(name);
    if (custom) {
      this.#types.set(name, custom);
      return custom;
    }
    const line = this.#lines.get(name);
    if (line === undefined) throw new Error(`unknown API type ${name}`);
    const type = this.#parse(name, line);
    this.#types.set(name, type);
    return type;
  }

  /** Adds a structure that is made from a schema, with those below it, which are named `root#…`. */
  define(root: string, make: (name: string) => ObjectType | undefined): void {
    this.forget(root);
    this.#custom.set(root, make);
  }

  /** Removes what define() added. */
  forget(root: string): void {
    this.#custom.delete(root);
    for (const name of this.#types.keys()) if (name === root || name.startsWith(`${root}#`)) this.#types.delete(name);
  }

  /** Whether a structure is known. */
  has(name: string): boolean {
    return this.#lines.has(name);
  }

  #parse(name: string, line: string): ObjectType {
    const fields = new Map<string, Field>();
    const byNumber = new Map<number, Field>();
    for (const part of line.split(" ").filter(Boolean)) {
      const field = this.#field(name, part);
      if (field.number > 0) byNumber.set(field.number, field);
      if (field.inline) for (const [key, value] of this.type(field.type).fields) fields.set(key, value);
      else fields.set(field.name, field);
    }
    const inPlace = [...fields].filter(([, field]) => isInPlace(field)).map(([key]) => key);
    return { name, fields, byNumber, inPlace, children: new Map() };
  }

  #field(owner: string, text: string): Field {
    const match = /^([^:]+):(\[\]|\{\})?([A-Za-z0-9.]+)([~*!]*)=(\d+)$/.exec(text);
    if (!match) throw new Error(`bad field ${text} of ${owner} in the type table`);
    const [, name = "", shape, code = "", flags = "", number] = match;
    const kind = kindOf(code);
    const merge = this.#rules.get(`${owner}.${name}`) ?? {};
    const whole = shape === "[]" ? !merge.applyKeys : shape === "{}" ? isAtomicMap(owner, name) : isAtomicType(code);
    return {
      name,
      kind,
      type: kind === "struct" ? code : "",
      shape: shape === "[]" ? "list" : shape === "{}" ? "map" : "one",
      pointer: flags.includes("*"),
      required: flags.includes("!"),
      number: Number(number),
      inline: flags.includes("~"),
      merge,
      atomic: whole,
    };
  }
}

function kindOf(code: string): FieldKind {
  if (special.has(code)) return code as FieldKind;
  return scalars[code] ?? (code.endsWith(".ExtraValue") ? "ExtraValue" : "struct");
}

/** `core.v1.Pod` → `io.k8s.api.core.v1.Pod`, the name in OpenAPI documents. */
export function openApiName(type: string): string {
  if (type.startsWith("custom/")) return type.slice("custom/".length);
  if (type.startsWith("apiextensions.")) return `io.k8s.apiextensions-apiserver.pkg.apis.${type}`;
  if (type.startsWith("meta.")) return `io.k8s.apimachinery.pkg.apis.${type}`;
  if (type === "Quantity") return "io.k8s.apimachinery.pkg.api.resource.Quantity";
  if (type === "IntOrString") return "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
  if (type === "RawExtension") return "io.k8s.apimachinery.pkg.runtime.RawExtension";
  if (!type.includes(".")) return `io.k8s.apimachinery.pkg.apis.meta.v1.${type}`;
  return `io.k8s.api.${type}`;
}
