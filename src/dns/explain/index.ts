/** What a lookup sends, who answers, and why: predicted, without a packet. */
export { type DnsAnswer, type DnsQuestion, explainLookup } from "./answer.ts";
export { ClusterServer } from "./clusterServer.ts";
export { type AskServer, lookUp, type Query as DnsQuery, type ServerAnswer } from "./lookup.ts";
export { configMapsOf, surroundingsOf } from "./podFiles.ts";
export { beyond, reasoned } from "./reasoned.ts";
export type { ClusterObjects as DnsObjects } from "./reasons.ts";
export { parseResolverSettings, type Tool as DnsTool } from "./resolvConf.ts";
export { type NameServer, nameServerAt } from "./servers.ts";
export { dnsAnswerText } from "./text.ts";
