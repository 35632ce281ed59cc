/** Layers, from archives to what overlayfs takes. */

export { defaultLimits, type LayerLimits } from "./limits.ts";
export type { UnpackMessage, UnpackResult } from "./messages.ts";
export type { Owners } from "./owners.ts";
export { type UnpackRequest, unpackLayer } from "./unpack.ts";
