/** Mode userspace: rules lead to this process, which relays each connection to an endpoint. */
export { USERSPACE_TABLE, type UserspaceBackendOptions, userspaceBackend } from "./backend.ts";
export type { RelaySettings } from "./proxyPort.ts";
