/** Volumes of pods. */
export { type VolumeReference, volumeReferences } from "./references.ts";
export { type BoundToken, VolumeError, type VolumeSources } from "./payload.ts";
export { PodVolumes } from "./volumes.ts";
