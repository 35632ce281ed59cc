import { parse as parseYaml } from "yaml";
import { badRequest, StatusError, unsupportedMediaType } from "../errors.ts";
import type { Kind } from "../kinds/definition.ts";
import { type Dict, isDict } from "../object.ts";
import { resetsManagers } from "../patch/managed-fields.ts";
import { decodeProtobuf } from "../proto/decode.ts";
import { decodeObject, TypeMismatch } from "../schema/decode.ts";
import type { Schema } from "../schema/schema.ts";
import type { Call } from "./call.ts";

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
  if (type === "application/json") return check(parseJson(bytes), expected, strictness);
  if (type === "application/yaml") return check(parseYamlBody(bytes), expected, strictness);
  throw unsupportedMediaType(accepted);
}

/** Parses JSON with Go's words for what is wrong. */
export function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    const why = bytes.length === 0 ? "EOF" : (error as Error).message;
    throw badRequest(`couldn't get version/kind; json parse error: ${why}`);
  }
}

/** Parses YAML, of which JSON is a part. */
export function parseYamlBody(bytes: Buffer): unknown {
  try {
    return parseYaml(bytes.toString("utf8"), { maxAliasCount: 100, schema: "core" });
  } catch (error) {
    throw badRequest(`error converting YAML to JSON: ${(error as Error).message}`);
  }
}

/** Checks kind and version and brings the value into the form of its type. Throws StatusError 400. */
export function check(value: unknown, expected: Expected, strictness: Strictness): Dict {
  if (!isDict(value))
    throw badRequest(
      `couldn't get version/kind; json parse error: json: cannot unmarshal into Go value of type struct`,
    );
  const { apiVersion = expected.apiVersion, kind = expected.kind } = value;
  if (kind !== expected.kind || apiVersion !== expected.apiVersion) {
    throw badRequest(
      kind !== expected.kind
        ? `the object provided is unrecognized (must be of type ${expected.kind}): no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)} here`
        : `the API version in the data (${typeof apiVersion === "string" ? apiVersion : JSON.stringify(apiVersion)}) does not match the expected API version (${expected.apiVersion})`,
    );
  }
  return { ...decodeChecked(value, expected, strictness), apiVersion: expected.apiVersion, kind: expected.kind };
}

function decodeChecked(value: Dict, expected: Expected, strictness: Strictness): Dict {
  const unknown: string[] = [];
  const cannot = (why: string) =>
    badRequest(
      `${expected.kind} in version "${expected.apiVersion.split("/").at(-1)}" cannot be handled as a ${expected.kind}: ${why}`,
    );
  try {
    const decoded = expected.decode
      ? expected.decode(expected.schema, value, unknown)
      : decodeObject(expected.schema, expected.type, value, unknown);
    if (resetsManagers(value)) (decoded.metadata as { managedFields?: unknown[] }).managedFields = [];
    const texts = unknown.map((path) => `unknown field "${path}"`);
    if (strictness.validation === "Strict" && texts.length > 0)
      throw cannot(`strict decoding error: ${texts.join(", ")}`);
    if (strictness.validation === "Warn") for (const text of texts) strictness.warn(text);
    return decoded;
  } catch (error) {
    if (error instanceof TypeMismatch) throw cannot(error.message);
    throw error;
  }
}

/** The fieldValidation parameter. Throws StatusError 422. */
export function fieldValidation(query: URLSearchParams): Strictness["validation"] {
  const value = query.get("fieldValidation") || "Warn";
  if (value === "Strict" || value === "Warn" || value === "Ignore") return value;
  throw new StatusError(
    422,
    "Invalid",
    `CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "${value}": supported values: "Ignore", "Strict", "Warn"`,
  );
}
