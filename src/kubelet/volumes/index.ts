/** Volumes of pods. */
export { hasLimit, overLimit } from "./emptyDir.ts";

export { type BoundToken, VolumeError, type VolumeSources } from "./payload.ts";
export { type VolumeReference, volumeReferences } from "./references.ts";
export { PodVolumes } from "./volumes.ts";
