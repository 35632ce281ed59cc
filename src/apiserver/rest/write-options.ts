import { FieldErrors } from "../errors.ts";
import type { Strictness } from "./body.ts";
import type { KindCall } from "./handler.ts";
import { notSupported } from "./list-options.ts";
import type { WriteOptions } from "./objects.ts";

/** Longest name of a field manager. */
const managerLimit = 128;

const validations = ["Strict", "Warn", "Ignore"] as const;

/** Options that every write takes from the request, with upstream's rules. Throws StatusError 422. */
export function writeOptions(request: KindCall): WriteOptions {
  const { user, info, call, warnings } = request;
  const errors = new FieldErrors();
  const apply = call.headers["content-type"]?.startsWith("application/apply-patch+") ?? false;
  const manager = info.query.get("fieldManager") ?? "";
  if (info.verb === "patch") {
    if (apply && !manager) errors.required("fieldManager", "is required for apply patch");
    if (!apply && info.query.has("force")) errors.forbidden("force", "may not be specified for non-apply patch");
  }
  checkManager(manager, errors);
  const dryRun = checkDryRun(info.query.getAll("dryRun"), errors);
  const validation = info.query.get("fieldValidation") ?? "";
  if (validation && !validations.includes(validation as never))
    errors.causes.push(notSupported("fieldValidation", validation, ["", "Ignore", "Strict", "Warn"]));
  errors.throwIfAny(optionsKind(info.verb), "meta.k8s.io", "");
  return {
    user,
    manager: manager || managerOf(call.headers["user-agent"] ?? ""),
    dryRun,
    subresource: "",
    warn: (text) => warnings.push(text),
  };
}

function optionsKind(verb: string): string {
  return { create: "CreateOptions", update: "UpdateOptions", patch: "PatchOptions" }[verb] ?? "DeleteOptions";
}

/** The dryRun parameter or field: whether nothing is to be stored. Collects what is wrong with it. */
export function checkDryRun(given: readonly string[], errors: FieldErrors): boolean {
  const values = given.filter(Boolean);
  if (values.some((v) => v !== "All")) errors.causes.push(notSupported("dryRun", values, ["All"]));
  return values.length > 0;
}

function checkManager(manager: string, errors: FieldErrors): void {
  if (Buffer.byteLength(manager) > managerLimit) errors.tooLong("fieldManager", managerLimit);
  let position = 0;
  for (const char of manager) {
    if (/[\p{C}\p{Z}]/u.test(char) && char !== " ") {
      const code = (char.codePointAt(0) as number).toString(16).toUpperCase().padStart(4, "0");
      errors.invalid("fieldManager", manager, `invalid character U+${code} (at position ${position})`);
    }
    position += Buffer.byteLength(char);
  }
}

/** The manager that a user agent counts as: what stands before its first slash. */
function managerOf(agent: string): string {
  const name = [...(agent.split("/")[0] as string)].filter((char) => !/[\p{C}\p{Z}]/u.test(char) || char === " ");
  return name.join("").slice(0, managerLimit) || "unknown";
}

/** How strictly a body is decoded; its faults become warnings of the answer. */
export function strictness(request: KindCall): Strictness {
  const given = request.info.query.get("fieldValidation");
  const validation = given === "Strict" || given === "Ignore" ? given : "Warn";
  return { validation, warn: (text) => request.warnings.push(text) };
}
