export { type Change, Entry } from "./entry.ts";
export type { Durability } from "./log.ts";
export { CompactedError, Store, type StoreOptions, TooLargeError } from "./store.ts";
