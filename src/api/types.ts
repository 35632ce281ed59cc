/**
 * The Kubernetes kinds that Podwire's own components read and write, as they are on the wire (JSON).
 *
 * Only the fields somebody here uses are named; what a server sends beyond them stays in the object untouched.
 * Everything is readonly because objects come out of shared caches: change one by building a new one.
 * Timestamps are RFC 3339 strings. Source: Kubernetes 1.36 API reference.
 */
export type * from "./types/config.ts";
export type * from "./types/container.ts";
export type * from "./types/definitions.ts";
export type * from "./types/meta.ts";
export type * from "./types/networking.ts";
export type * from "./types/node.ts";
export type * from "./types/placement.ts";
export type * from "./types/pod.ts";
export type * from "./types/service.ts";
export type * from "./types/workloads.ts";
