export { type Change, Entry } from "./entry.ts";
export type { Durability } from "./log.ts";
export { LogDamagedError } from "./log-format.ts";
export { CompactedError, Store, StoreFailedError, type StoreOptions, TooLargeError } from "./store.ts";
