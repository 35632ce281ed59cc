/** The serving process behind `podwire/echo` containers. */
export { EchoClient, type EchoClientOptions } from "./client.ts";
export { listenForAgents } from "./control.ts";
export { EchoServers } from "./servers.ts";
