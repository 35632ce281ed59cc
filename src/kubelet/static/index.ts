/** Pods that a node runs from its own files. */
export { ManifestFolder } from "./folder.ts";
export { isStaticPod, staticPod } from "./manifest.ts";
