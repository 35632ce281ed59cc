import { methodNotAllowed } from "../errors.ts";
import type { Dict, StoredObject } from "../object.ts";
import { type Expected, readObject } from "./body.ts";
import type { KindCall } from "./handler.ts";
import { type PatchType, readPatch } from "./patches.ts";
import { strictness } from "./write-options.ts";

/**
 * What a PUT, or a PATCH of this type, makes of the form in which a subresource shows its object. Throws StatusError.
 * Server-side apply is none of them: it has to know who owns what.
 */
export async function subresourceWriter(
  request: KindCall,
  expected: Expected,
  patchType: Exclude<PatchType, "apply"> | undefined,
): Promise<(now: StoredObject) => Dict> {
  const { call, info } = request;
  if (info.verb === "update") {
    const draft = await readObject(call, expected, strictness(request));
    return () => draft;
  }
  if (info.verb !== "patch" || !patchType) throw methodNotAllowed();
  const patch = readPatch(patchType, await call.body(), expected, strictness(request));
  return (now) => patch.apply(now);
}
