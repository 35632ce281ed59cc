/** An error with a stable code for callers and data for reports; the message is for people. */
export class PodwireError extends Error {
  readonly code: string;
  readonly data: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, data: Readonly<Record<string, unknown>> = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "PodwireError";
    this.code = code;
    this.data = data;
  }
}

/** Whether the error has this code: a PodwireError's or one of Node's system errors (`ENOENT`). */
export function hasCode(error: unknown, code: string): boolean {
  return typeof error === "object" && error !== null && (error as { code?: unknown }).code === code;
}

/** What to print of something that was thrown: the message, without a stack. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
