import type { Status } from "./types.ts";

/** An error answer of the API server: `code` is the HTTP status, `reason` Kubernetes' word for it. */
export class ApiError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly status: Status;

  constructor(status: Status) {
    super(status.message ?? status.reason ?? `HTTP ${status.code ?? 0}`);
    this.name = "ApiError";
    this.code = status.code ?? 0;
    this.reason = status.reason ?? "";
    this.status = status;
  }
}

/** The object (or the path) does not exist. */
export function isNotFound(error: unknown): boolean {
  return error instanceof ApiError && error.code === 404;
}

/** The object changed since it was read. An existing name is not a conflict: see isAlreadyExists. */
export function isConflict(error: unknown): boolean {
  return error instanceof ApiError && error.code === 409 && error.reason !== "AlreadyExists";
}

/** A create met an object of that name. */
export function isAlreadyExists(error: unknown): boolean {
  return error instanceof ApiError && error.reason === "AlreadyExists";
}

/** The resource version is older than the history the server kept: list again. */
export function isGone(error: unknown): boolean {
  return error instanceof ApiError && (error.code === 410 || error.reason === "Expired" || error.reason === "Gone");
}

/** The resource version is newer than anything the server has: it lost its latest writes, or is not up to date yet. */
export function isTooLargeVersion(error: unknown): boolean {
  if (!(error instanceof ApiError)) return false;
  return error.status.details?.causes?.some((cause) => cause.reason === "ResourceVersionTooLarge") ?? false;
}

/** The namespace is being deleted: nothing can be created in it (cause NamespaceTerminating of upstream's 403). */
export function isNamespaceTerminating(error: unknown): boolean {
  if (!(error instanceof ApiError) || error.code !== 403) return false;
  return error.status.details?.causes?.some((cause) => cause.reason === "NamespaceTerminating") ?? false;
}
