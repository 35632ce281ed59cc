/** Services on nftables maps. */
export { type NftablesBackendOptions, nftablesBackend } from "./backend.ts";
export { SERVICES_TABLE, serviceLayout } from "./layout.ts";
