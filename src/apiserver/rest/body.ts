import { badRequest, invalid, type StatusError, unsupportedMediaType } from "../errors.ts";
import type { Kind } from "../kinds/definition.ts";
import { type Dict, isDict } from "../object.ts";
import { resetsManagers } from "../patch/managed-fields.ts";
import { decodeProtobuf } from "../proto/decode.ts";
import { decodeObject } from "../schema/decode.ts";
import { type Dialect, goType, TypeMismatch } from "../schema/mismatch.ts";
import type { Schema } from "../schema/schema.ts";
import type { Call } from "./call.ts";
import { JsonSyntaxError, readJson } from "./go-json.ts";
import { YamlError, type YamlReader } from "./go-yaml.ts";

const accepted = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];

/** Longest body (apiserver's MaxRequestBodyBytes). */
export const bodyLimit = 3 * 1024 * 1024;

/** What a body must be. */
export interface Expected {
  readonly schema: Schema;
  readonly apiVersion: string;
  readonly kind: string;
  readonly type: string;
  /** Reads JSON where the table of structures does not tell the form. */
  readonly decode?: Kind["decode"];
}

/** How strict decoding is, and where warnings go. */
export interface Strictness {
  readonly validation: "Strict" | "Warn" | "Ignore";
  warn(text: string): void;
}

/** Reads the body as an object of the expected kind. Throws StatusError 400, 415. */
export async function readObject(call: Call, expected: Expected, strictness: Strictness): Promise<Dict> {
  const bytes = await call.body();
  const type = (call.headers["content-type"] ?? "application/json").split(";")[0]?.trim();
  if (type === "application/vnd.kubernetes.protobuf") {
    if (expected.decode) throw unsupportedMediaType(accepted.slice(0, 2));
    return check(decodeProtobuf(expected.schema, bytes, expected.type), expected, strictness);
  }
  if (type !== "application/json" && type !== "application/yaml") throw unsupportedMediaType(accepted);
  const { value, faults } = await parseBody(bytes, type, expected, call.yaml);
  return check(value, expected, strictness, faults);
}

/** A body's value and what strict decoding holds against its text. */
export interface ReadBody {
  readonly value: unknown;
  readonly faults: readonly string[];
}

/** Parses a body of JSON, or of YAML where its type says so. Throws StatusError 400. */
export async function parseBody(bytes: Buffer, type: string, expected: Expected, yaml: YamlReader): Promise<ReadBody> {
  try {
    return type.startsWith("application/yaml") ? await yaml.read(bytes) : readJsonBody(bytes);
  } catch (error) {
    const syntax = error instanceof JsonSyntaxError;
    if (!syntax && !(error instanceof YamlError)) throw error;
    throw unrecognized(
      expected,
      `${syntax ? "couldn't get version/kind; json parse error: " : ""}${error.message}`,
      bytes,
    );
  }
}

function readJsonBody(bytes: Buffer): ReadBody {
  const { value, duplicates } = readJson(bytes);
  return { value, faults: duplicates.map((path) => `duplicate field "${path}"`) };
}

function unrecognized(expected: Expected, why: string, bytes: Buffer): StatusError {
  return badRequest(
    `the object provided is unrecognized (must be of type ${expected.kind}): ${why} (${summary(bytes)})`,
  );
}

/** The beginning of a body as the refusal shows it: JSON as it is, the rest in hexadecimal. */
function summary(bytes: Buffer): string {
  if (bytes.length === 0) return "<empty>";
  const text = bytes.subarray(0, 30).toString(bytes[0] === 0x7b ? "utf8" : "hex");
  return bytes.length > 30 ? `${text} ...` : text;
}

const typeMetaText =
  'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }';

/**
 * Checks kind and version and brings the value into the form of its type. Throws StatusError 400.
 * @param faults what strict decoding holds against the text itself, such as duplicate fields
 */
export function check(
  given: unknown,
  expected: Expected,
  strictness: Strictness,
  faults: readonly string[] = [],
): Dict {
  const failed = (why: string) =>
    badRequest(`couldn't get version/kind; json parse error: json: cannot unmarshal ${why}`);
  // As Go reads it, null leaves an object as it was: empty.
  const value = given === null ? {} : given;
  if (!isDict(value)) throw failed(`${goType(value)} into Go value of type ${typeMetaText}`);
  const { apiVersion: givenVersion, kind: givenKind } = value;
  for (const [name, text] of [
    ["kind", givenKind],
    ["apiVersion", givenVersion],
  ] as const) {
    if (text !== undefined && text !== null && typeof text !== "string")
      throw failed(`${goType(text)} into Go struct field .${name} of type string`);
  }
  const apiVersion = (givenVersion || expected.apiVersion) as string;
  const kind = (givenKind || expected.kind) as string;
  if (kind !== expected.kind || apiVersion !== expected.apiVersion) throw otherKind(expected, apiVersion, kind);
  return {
    ...decodeChecked(value, expected, strictness, faults),
    apiVersion: expected.apiVersion,
    kind: expected.kind,
  };
}

/** The refusal of an object of another kind or version. */
function otherKind(expected: Expected, apiVersion: string, kind: string): StatusError {
  const [group, version] = apiVersion.includes("/") ? apiVersion.split("/") : ["", apiVersion];
  const [expectedGroup] = expected.apiVersion.includes("/") ? expected.apiVersion.split("/") : [""];
  const packageOf = (name: string | undefined) => name?.split(".")[0] || "core";
  if (!expected.schema.has(`${packageOf(group)}.${version}.${kind}`)) {
    const why = `no kind "${kind}" is registered for version "${apiVersion}" in scheme "pkg/api/legacyscheme/scheme.go:30"`;
    return badRequest(`${kind} in version "${version}" cannot be handled as a ${expected.kind}: ${why}`);
  }
  if (kind === expected.kind && group === expectedGroup)
    return badRequest(
      `the API version in the data (${apiVersion}) does not match the expected API version (${expected.apiVersion})`,
    );
  const why = `converting (${version}.${kind}) to (${packageOf(expectedGroup)}.${expected.kind}): unknown conversion`;
  return badRequest(`${kind} in version "${version}" cannot be handled as a ${expected.kind}: ${why}`);
}

function decodeChecked(value: Dict, expected: Expected, strictness: Strictness, faults: readonly string[]): Dict {
  const cannot = (why: string) =>
    badRequest(
      `${expected.kind} in version "${expected.apiVersion.split("/").at(-1)}" cannot be handled as a ${expected.kind}: ${why}`,
    );
  return decodeStrictly(value, expected, { strictness, faults, dialect: "json", refuse: cannot });
}

/** How a value is decoded and refused. */
interface Decoding {
  readonly strictness: Strictness;
  readonly faults: readonly string[];
  readonly dialect: Dialect;
  refuse(why: string): StatusError;
}

function decodeStrictly(value: Dict, expected: Expected, decoding: Decoding): Dict {
  const { strictness, faults, dialect, refuse } = decoding;
  const unknown: string[] = [];
  try {
    const decoded = expected.decode
      ? expected.decode(expected.schema, value, unknown)
      : decodeObject(expected.schema, expected.type, value, unknown, dialect);
    if (resetsManagers(value)) (decoded.metadata as { managedFields?: unknown[] }).managedFields = [];
    if (strictness.validation === "Ignore") return decoded;
    // What is inside unknown fields is not looked at.
    const known = faults.filter((f) => !unknown.some((u) => f.startsWith(`duplicate field "${u}`)));
    const texts = [...unknown.map((path) => `unknown field "${path}"`), ...known];
    if (strictness.validation === "Strict" && texts.length > 0)
      throw refuse(`strict decoding error: ${texts.join(", ")}`);
    for (const text of texts) strictness.warn(text);
    return decoded;
  } catch (error) {
    if (error instanceof TypeMismatch) throw refuse(error.message);
    throw error;
  }
}

/** A patch that is about to be looked at through its result. */
export interface Patched {
  /** The whole object that the patch led to. */
  readonly value: unknown;
  /** What the refusal shows: the object's JSON, or the patch as Go prints it. */
  shown(): string;
  readonly faults: readonly string[];
  readonly dialect: Dialect;
}

/** Checks what a patch led to. Throws the 422 of a value that does not fit, and StatusError 400. */
export function checkPatched(patched: Patched, expected: Expected, strictness: Strictness): Dict {
  const { value, shown, faults, dialect } = patched;
  const refuse = (why: string) =>
    invalid("", "", "", [
      { reason: "FieldValueInvalid", message: `Invalid value: ${JSON.stringify(shown())}: ${why}`, field: "patch" },
    ]);
  if (!isDict(value)) throw refuse(`json: cannot unmarshal ${goType(value)} into Go value of type ${typeMetaText}`);
  const { apiVersion = expected.apiVersion, kind = expected.kind } = value;
  if (kind !== expected.kind || apiVersion !== expected.apiVersion) {
    const text = typeof apiVersion === "string" && typeof kind === "string";
    throw text ? otherKind(expected, apiVersion, kind) : refuse("apiVersion and kind must be texts");
  }
  const decoded = decodeStrictly(value, expected, { strictness, faults, dialect, refuse });
  return { ...decoded, apiVersion: expected.apiVersion, kind: expected.kind };
}
