import { badRequest, FieldErrors, type StatusCause } from "../errors.ts";

/**
 * The query parameters of lists and watches (meta/v1 ListOptions), with upstream's rules and messages.
 * Source: k8s.io/apimachinery/pkg/apis/meta/internalversion/validation.
 */
export interface ListOptions {
  /** 0: no limit. */
  readonly limit: number;
  readonly continue: string;
  /** As it was given: `` (the newest), `0` (any), or a revision. */
  readonly resourceVersion: string;
  readonly match: "" | "Exact" | "NotOlderThan";
  /** Undefined: the server's own. */
  readonly timeoutSeconds: number | undefined;
  readonly allowWatchBookmarks: boolean;
  readonly sendInitialEvents: boolean | undefined;
}

/** Reads the parameters. Throws StatusError 400 and 422. */
export function listOptions(query: URLSearchParams, watch: boolean): ListOptions {
  const match = query.get("resourceVersionMatch") ?? "";
  const options = {
    limit: Math.max(0, numberOf(query, "limit") ?? 0),
    continue: query.get("continue") ?? "",
    resourceVersion: query.get("resourceVersion") ?? "",
    match: match as ListOptions["match"],
    timeoutSeconds: numberOf(query, "timeoutSeconds"),
    allowWatchBookmarks: flag(query, "allowWatchBookmarks"),
    sendInitialEvents: query.has("sendInitialEvents") ? flag(query, "sendInitialEvents") : undefined,
  };
  const errors = new FieldErrors();
  if (watch) checkWatch(options, errors);
  else checkList(options, errors);
  errors.throwIfAny("ListOptions", "meta.k8s.io", "");
  return options;
}

const matchField = "resourceVersionMatch";

function checkList(options: ListOptions, errors: FieldErrors): void {
  const { match, resourceVersion } = options;
  if (match) {
    if (!resourceVersion)
      errors.forbidden(matchField, "resourceVersionMatch is forbidden unless resourceVersion is provided");
    if (options.continue) errors.forbidden(matchField, "resourceVersionMatch is forbidden when continue is provided");
    if (match !== "Exact" && match !== "NotOlderThan")
      errors.causes.push(notSupported(matchField, match, ["Exact", "NotOlderThan", ""]));
    if (match === "Exact" && resourceVersion === "0")
      errors.forbidden(matchField, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
  }
  if (options.sendInitialEvents !== undefined)
    errors.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list");
}

function checkWatch(options: ListOptions, errors: FieldErrors): void {
  const { match, sendInitialEvents } = options;
  if (sendInitialEvents !== undefined && match !== "NotOlderThan")
    errors.forbidden(matchField, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
  if (!match) return;
  if (sendInitialEvents === undefined)
    errors.forbidden(matchField, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
  if (match !== "NotOlderThan") errors.causes.push(notSupported(matchField, match, ["NotOlderThan"]));
  if (options.continue) errors.forbidden(matchField, "resourceVersionMatch is forbidden when continue is provided");
}

/** An `Unsupported value` whose supported values come in the order given. */
export function notSupported(field: string, value: unknown, supported: readonly string[]): StatusCause {
  const list = supported.map((s) => JSON.stringify(s)).join(", ");
  return {
    reason: "FieldValueNotSupported",
    message: `Unsupported value: ${JSON.stringify(value)}: supported values: ${list}`,
    field,
  };
}

/** Whether a query parameter says yes: all but `false` and `0` do, if it is there at all. */
export function flag(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  return value !== null && value !== "0" && value.toLowerCase() !== "false";
}

/** A whole number from the query. Throws StatusError 400 with Go's words. */
export function numberOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (!/^[+-]?\d+$/.test(text)) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  const value = BigInt(text);
  if (value !== BigInt.asIntN(64, value))
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: value out of range`);
  return Number(value);
}
