/** The node agent's https server. */
export { KubeletServer, type KubeletServerDeps, type KubeletServerOptions } from "./server.ts";
