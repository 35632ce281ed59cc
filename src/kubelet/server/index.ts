/** The node agent's https server. */
export { type AccessOptions, KubeletAccess } from "./access.ts";
export { KubeletServer, type KubeletServerDeps, type KubeletServerOptions } from "./server.ts";
