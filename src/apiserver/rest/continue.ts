import { badRequest } from "../errors.ts";

/** Where a chunked list goes on. */
export interface Continue {
  /** The snapshot's revision; -1: the newest, for a list that may go on inconsistently. */
  readonly revision: number;
  /** First key that may follow, relative to the namespace asked for. */
  readonly start: string;
}

/** Writes a token. The form is upstream's (apiserver/pkg/storage/continue.go). */
export function encodeContinue({ revision, start }: Continue): string {
  return Buffer.from(JSON.stringify({ v: "meta.k8s.io/v1", rv: revision, start })).toString("base64url");
}

/** Reads a token. Throws StatusError 400. */
export function decodeContinue(text: string): Continue {
  const { v, rv, start } = parsed(text);
  if (v !== "meta.k8s.io/v1")
    throw refusal(`continue key is not valid: server does not recognize this encoded version ${String(v ?? "")}`);
  if (typeof rv !== "number" || !Number.isSafeInteger(rv) || rv === 0)
    throw refusal("continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)");
  if (typeof start !== "string" || start === "")
    throw refusal("continue key is not valid: encoded start key empty (version meta.k8s.io/v1)");
  if (/(^|\/)(\.{0,2})(\/|$)/.test(start)) throw refusal(`continue key is not valid: ${start}`);
  return { revision: rv, start };
}

function parsed(text: string): { v?: unknown; rv?: unknown; start?: unknown } {
  try {
    if (!/^[A-Za-z0-9_-]*$/.test(text)) throw new Error("illegal base64 data");
    const value = JSON.parse(Buffer.from(text, "base64url").toString("utf8")) as unknown;
    if (typeof value !== "object" || value === null) throw new Error("not an object");
    return value;
  } catch {
    throw refusal("continue key is not valid");
  }
}

function refusal(why: string) {
  return badRequest(`invalid continue token: ${why}`);
}
