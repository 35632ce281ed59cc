/** Manifests from files into the API. */
export { createAll, parseManifests, readManifests, resourceOf } from "./manifests.ts";
