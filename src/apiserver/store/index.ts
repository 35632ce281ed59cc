export { type Change, Entry } from "./entry.ts";
export { CompactedError, StoreFailedError, TooLargeError } from "./errors.ts";
export { Follower } from "./follower.ts";
export type { Durability } from "./log.ts";
export { LogDamagedError } from "./log-format.ts";
export { objectLimit, Store, type StoreOptions } from "./store.ts";
