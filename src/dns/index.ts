/** The DNS server: a Corefile, its plugins, and the ports it answers on. */
export { CorefileError, parseCorefile } from "./corefile/index.ts";
export { pluginOrder } from "./plugins/order.ts";
export { DnsServer, type ServerDeps, type ServerOptions } from "./server.ts";
