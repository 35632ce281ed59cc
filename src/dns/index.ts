/** The DNS server: a Corefile, its plugins, and the ports it answers on. */
export { CorefileError, parseCorefile } from "./corefile/index.ts";
export {
  type AskServer,
  beyond,
  ClusterServer,
  configMapsOf,
  type DnsObjects,
  type DnsQuery,
  type DnsQuestion,
  type DnsTool,
  dnsAnswerText,
  explainLookup,
  lookUp,
  type NameServer,
  nameServerAt,
  parseResolverSettings,
  reasoned,
  type ServerAnswer,
  surroundingsOf,
} from "./explain/index.ts";
export { pluginOrder } from "./plugins/order.ts";
export { DnsServer, type ServerDeps, type ServerOptions } from "./server.ts";
