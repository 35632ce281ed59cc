/** The node agent: runs the pods that the API gives to its node. */
export { type Agent, type AgentDeps, startAgent } from "./agent.ts";
export type { ContainerImage, ImageSource } from "./images/index.ts";
export { type ModuleSpec, type NodeModule, type ProcessRun, processRun } from "./modules/index.ts";
export type { PodNetworkFacts } from "./network/index.ts";
export { AgentConfigError, type AgentFolders, type AgentOptions, agentOptions, defaultFolders } from "./options.ts";
export { type DnsSettings, hostsFile, resolvConf } from "./spec/files.ts";
