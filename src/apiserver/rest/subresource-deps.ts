import type { TokenIssuer } from "../auth/tokens.ts";
import type { Schema } from "../schema/schema.ts";
import type { Store } from "../store/index.ts";
import type { Objects } from "./objects.ts";
import type { Writes } from "./writes.ts";

/** What subresources work with. */
export interface SubresourceDeps {
  readonly store: Store;
  readonly schema: Schema;
  readonly objects: Objects;
  readonly writes: Writes;
  readonly tokens: TokenIssuer;
}
