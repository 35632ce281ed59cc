import type { Dict } from "./object.ts";

/** details.causes[] of a Status. */
export interface StatusCause {
  readonly reason: string;
  readonly message: string;
  readonly field?: string;
}

/** meta/v1 Status of a failure. */
export interface Status {
  readonly kind: "Status";
  readonly apiVersion: "v1";
  readonly metadata: Dict;
  readonly status: "Failure" | "Success";
  readonly message?: string;
  readonly reason?: string;
  readonly details?: Dict;
  readonly code: number;
}

/** A failure with the answer that the client gets. Texts are those of k8s.io/apimachinery/pkg/api/errors. */
export class StatusError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly details: Dict | undefined;
  readonly headers: Readonly<Record<string, string>>;
  /** Goes into the Status' metadata: where an expired list can go on. */
  continue: string | undefined;

  constructor(code: number, reason: string, message: string, details?: Dict, headers: Record<string, string> = {}) {
    super(message);
    this.code = code;
    this.reason = reason;
    this.details = details;
    this.headers = headers;
  }

  /** The Status object of the answer. */
  toStatus(): Status {
    return {
      kind: "Status",
      apiVersion: "v1",
      metadata: this.continue === undefined ? {} : { continue: this.continue },
      status: "Failure",
      message: this.message,
      ...(this.reason ? { reason: this.reason } : {}),
      ...(this.details ? { details: this.details } : {}),
      code: this.code,
    };
  }
}

/** What an error is about: a resource (plural and group). */
export interface ResourceName {
  readonly group: string;
  readonly plural: string;
}

/** `deployments.apps`, or `pods` for the core group. */
export function qualified(r: ResourceName): string {
  return r.group ? `${r.plural}.${r.group}` : r.plural;
}

function details(r: ResourceName, name: string): Dict {
  return { name, ...(r.group ? { group: r.group } : {}), kind: r.plural };
}

/** 404 for an object. */
export function notFound(r: ResourceName, name: string): StatusError {
  return new StatusError(404, "NotFound", `${qualified(r)} "${name}" not found`, details(r, name));
}

/** 404 for a path that nothing serves. */
export function noSuchPath(): StatusError {
  return new StatusError(404, "NotFound", "the server could not find the requested resource", {});
}

/** 409 for a name that is taken. */
export function alreadyExists(r: ResourceName, name: string): StatusError {
  return new StatusError(409, "AlreadyExists", `${qualified(r)} "${name}" already exists`, details(r, name));
}

/** 409 for an outdated resourceVersion, or with another cause. */
export function conflict(r: ResourceName, name: string, cause?: string): StatusError {
  const why = cause ?? "the object has been modified; please apply your changes to the latest version and try again";
  return new StatusError(
    409,
    "Conflict",
    `Operation cannot be fulfilled on ${qualified(r)} "${name}": ${why}`,
    details(r, name),
  );
}

/** 400. */
export function badRequest(message: string): StatusError {
  return new StatusError(400, "BadRequest", message);
}

/** 401. */
export function unauthorized(): StatusError {
  return new StatusError(401, "Unauthorized", "Unauthorized");
}

/** 403 about a resource, with upstream's leading `pods "x" is forbidden: `. */
export function forbidden(r: ResourceName, name: string, message: string): StatusError {
  const subject = name ? `${qualified(r)} "${name}"` : qualified(r);
  return new StatusError(403, "Forbidden", `${subject} is forbidden: ${message}`, {
    ...(name ? { name } : {}),
    ...(r.group ? { group: r.group } : {}),
    kind: r.plural,
  });
}

/** 405. */
export function methodNotAllowed(): StatusError {
  return new StatusError(
    405,
    "MethodNotAllowed",
    "the server does not allow this method on the requested resource",
    {},
  );
}

/** 406. */
export function notAcceptable(accepted: readonly string[]): StatusError {
  return new StatusError(406, "NotAcceptable", `only the following media types are accepted: ${accepted.join(", ")}`);
}

/** 410 for a watch or continue token older than the kept history; `token` is where the list can go on all the same. */
export function expired(message: string, token?: string): StatusError {
  const error = new StatusError(410, "Expired", message);
  error.continue = token;
  return error;
}

/** 413. */
export function tooLarge(limit: number): StatusError {
  return new StatusError(413, "RequestEntityTooLarge", `Request entity too large: limit is ${limit}`);
}

/** 415. */
export function unsupportedMediaType(accepted: readonly string[]): StatusError {
  return new StatusError(
    415,
    "UnsupportedMediaType",
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(", ")}`,
  );
}

/** 429 for an eviction that a disruption budget forbids. */
export function tooManyRequests(message: string, causes: StatusCause[] = []): StatusError {
  return new StatusError(429, "TooManyRequests", message, causes.length ? { causes } : {});
}

/** 500. */
export function internal(message: string): StatusError {
  return new StatusError(500, "InternalError", `Internal error occurred: ${message}`, {
    causes: [{ reason: "", message }],
  });
}

/**
 * A client's mistake that upstream did not classify: code 500 and no reason, so that kubectl prints `Error from server: `
 * and the message alone. Failures of the server itself have the reason InternalError.
 */
export function unclassified(message: string): StatusError {
  return new StatusError(500, "", message);
}

/** 409 for a generateName of which every random name was taken. */
export function noFreeName(r: ResourceName, prefix: string): StatusError {
  const why = "already exists, the server was not able to generate a unique name for the object";
  const more = { ...details(r, prefix), retryAfterSeconds: 1 };
  return new StatusError(409, "AlreadyExists", `${qualified(r)} "${prefix}" ${why}`, more);
}

/** 503. */
export function unavailable(message: string): StatusError {
  return new StatusError(503, "ServiceUnavailable", message);
}

/** So many causes a refusal has at most (Kubernetes knows no bound: 1 MB of wrong labels is answered with 78 MB). */
const MAX_CAUSES = 1000;
/** So many characters the messages of causes have at most, beside the last: each may show a large value. */
const MAX_CAUSES_LENGTH = 4 * 1024 * 1024;

/** What is invalid. */
interface Subject {
  readonly kind: string;
  readonly group: string;
  readonly name: string;
}

/** Collects field errors with the wording of k8s.io/apimachinery/pkg/util/validation/field. */
export class FieldErrors {
  readonly causes: StatusCause[] = [];
  readonly #subject: Subject | undefined;
  #length = 0;

  /** @param subject with it, the search for errors ends with the 422 when there are too many */
  constructor(subject?: Subject) {
    this.#subject = subject;
  }

  /** `Required value`, with what is wanted. */
  required(field: string, detail = ""): void {
    this.#add("FieldValueRequired", field, `Required value${detail ? `: ${detail}` : ""}`);
  }

  /** `Invalid value: "x": why`. */
  invalid(field: string, value: unknown, detail: string): void {
    this.#add("FieldValueInvalid", field, `Invalid value: ${show(value)}${detail ? `: ${detail}` : ""}`);
  }

  /** `Invalid value: "string": why`, for a value of another type than wanted. */
  typeInvalid(field: string, value: unknown, detail: string): void {
    this.#add("FieldValueTypeInvalid", field, `Invalid value: ${show(value)}: ${detail}`);
  }

  /** `Unsupported value: "x": supported values: "a", "b"`, sorted unless the order means something. */
  unsupported(field: string, value: unknown, supported: readonly string[], sorted = true): void {
    const list = (sorted ? [...supported].sort() : supported).map((s) => JSON.stringify(s));
    this.#add(
      "FieldValueNotSupported",
      field,
      `Unsupported value: ${show(value)}: supported values: ${list.join(", ")}`,
    );
  }

  /** `Duplicate value: "x"`. */
  duplicate(field: string, value: unknown, detail = ""): void {
    this.#add("FieldValueDuplicate", field, `Duplicate value: ${show(value)}${detail ? `: ${detail}` : ""}`);
  }

  /** `Forbidden: why`. */
  forbidden(field: string, detail: string): void {
    this.#add("FieldValueForbidden", field, `Forbidden: ${detail}`);
  }

  /** `Not found: "x"`. */
  notFound(field: string, value: unknown): void {
    this.#add("FieldValueNotFound", field, `Not found: ${show(value)}`);
  }

  /** `Too long: may not be more than n bytes`. */
  tooLong(field: string, max: number): void {
    this.#add("FieldValueTooLong", field, `Too long: may not be more than ${max} bytes`);
  }

  /** `Too many: 65: must have at most 64 items`. */
  tooMany(field: string, actual: number, max: number): void {
    this.#add("FieldValueTooMany", field, `Too many: ${actual}: must have at most ${max} items`);
  }

  /** Takes over what another search has found. */
  take(causes: readonly StatusCause[]): void {
    for (const cause of causes) this.#take(cause);
  }

  #add(reason: string, field: string, message: string): void {
    this.#take({ reason, message, field });
  }

  #take(cause: StatusCause): void {
    this.causes.push(cause);
    this.#length += cause.message.length;
    if (!this.#subject || (this.causes.length < MAX_CAUSES && this.#length < MAX_CAUSES_LENGTH)) return;
    const more = "too many errors: the rest was not looked for";
    const { kind, group, name } = this.#subject;
    throw invalid(kind, group, name, [...this.causes, { reason: "FieldValueInvalid", message: more, field: "" }]);
  }

  /** Throws the 422 when something was found. */
  throwIfAny(kind: string, group: string, name: string): void {
    if (this.causes.length > 0) throw invalid(kind, group, name, this.causes);
  }
}

/** 422 with causes. */
export function invalid(kind: string, group: string, name: string, causes: readonly StatusCause[]): StatusError {
  const texts = causes.map((c) => `${c.field ? `${c.field}: ` : ""}${c.message}`);
  const text = texts.length === 1 ? texts[0] : `[${texts.join(", ")}]`;
  const subject = group ? `${kind}.${group}` : kind;
  return new StatusError(422, "Invalid", `${subject} "${name}" is invalid: ${text}`, {
    ...(name ? { name } : {}),
    ...(group ? { group } : {}),
    kind,
    causes,
  });
}

/** A value as Go prints it in field errors: text quoted, numbers plain, structures as JSON. */
function show(value: unknown): string {
  if (value === undefined || value === null) return "null";
  return typeof value === "number" || typeof value === "boolean" ? String(value) : JSON.stringify(value);
}
