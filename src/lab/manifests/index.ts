/** Manifests from files into the API. */
export { createAll, parseManifests, readManifests, resourceOf, SOURCE_ANNOTATION } from "./manifests.ts";
