/** Error codes of the CNI specification (SPEC.md section 5, "Error"); 100 and above are a plugin's own. */
export const CNI_ERROR = {
  INCOMPATIBLE_VERSION: 1,
  UNSUPPORTED_FIELD: 2,
  UNKNOWN_CONTAINER: 3,
  INVALID_ENVIRONMENT: 4,
  IO_FAILURE: 5,
  DECODE_FAILURE: 6,
  INVALID_CONFIG: 7,
  TRY_AGAIN: 11,
  NOT_AVAILABLE: 50,
  INTERNAL: 999,
} as const;

/** A failed CNI operation, as plugins print it and runtimes read it. */
export class CniError extends Error {
  /** One of {@link CNI_ERROR}, or a plugin's own number. */
  readonly code: number;
  /** Longer text, "" for none. */
  readonly details: string;

  constructor(code: number, message: string, details = "", cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "CniError";
    this.code = code;
    this.details = details;
  }
}

/** The JSON that a plugin prints when it fails. */
export function errorJson(error: unknown, cniVersion: string): Record<string, unknown> {
  const { code, message, details } = toCniError(error);
  return { cniVersion, code, msg: message, ...(details ? { details } : {}) };
}

/** Any error as a CNI error; others than our own become internal failures with their message. */
export function toCniError(error: unknown): CniError {
  if (error instanceof CniError) return error;
  return new CniError(CNI_ERROR.INTERNAL, error instanceof Error ? error.message : String(error), "", error);
}
