/** What speaks to registries. */
export { type FetchedManifest, RegistryClient } from "./client.ts";
export { defaultHttpOptions, Http, type HttpOptions } from "./http.ts";
