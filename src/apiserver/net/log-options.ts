import { FieldErrors } from "../errors.ts";
import { flag, numberOf } from "../rest/list-options.ts";

const STREAMS = ["All", "Stderr", "Stdout"];

/**
 * Checks the parameters of a log (pkg/apis/core/validation, ValidatePodLogOptions).
 * @throws StatusError 400 for what is no number, 422 in upstream's words
 */
export function checkLogOptions(query: URLSearchParams, pod: string): void {
  const errors = new FieldErrors();
  const tail = numberOf(query, "tailLines");
  if (tail !== undefined && tail < 0) errors.invalid("tailLines", tail, "must be greater than or equal to 0");
  const limit = numberOf(query, "limitBytes");
  if (limit !== undefined && limit < 1) errors.invalid("limitBytes", limit, "must be greater than 0");
  const seconds = numberOf(query, "sinceSeconds");
  if (seconds !== undefined && query.get("sinceTime"))
    errors.forbidden("", "at most one of `sinceTime` or `sinceSeconds` may be specified");
  else if (seconds !== undefined && seconds < 1) errors.invalid("sinceSeconds", seconds, "must be greater than 0");
  const stream = query.get("stream") ?? "All";
  if (!STREAMS.includes(stream)) errors.unsupported("stream", stream, STREAMS);
  else if (stream !== "All" && tail !== undefined)
    errors.forbidden("", "`tailLines` and specific `stream` are mutually exclusive for now");
  errors.throwIfAny("PodLogOptions", "", pod);
}

/** Whether the serving certificate of the node need not be checked for this log. */
export function skipsVerification(query: URLSearchParams): boolean {
  return flag(query, "insecureSkipTLSVerifyBackend");
}
