/** Volumes of pods. */
export { type BoundToken, VolumeError, type VolumeSources } from "./payload.ts";
export { PodVolumes } from "./volumes.ts";
