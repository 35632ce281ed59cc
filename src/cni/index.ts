/** CNI: a container runtime's side of it, and Podwire's plugins. */

export {
  configFiles,
  loadNetwork,
  type NetworkConfig,
  type PluginConfig,
  parseNetworkConfig,
} from "./config/network.ts";
export { SUPPORTED_VERSIONS } from "./config/versions.ts";
export {
  DEFAULT_CONFLIST_FILE,
  DEFAULT_NETWORK_NAME,
  defaultConflist,
} from "./defaultNetwork.ts";
export { kernelDeps } from "./deps.ts";
export { CNI_ERROR, CniError, errorJson } from "./errors.ts";
export { runExecutable } from "./executable.ts";
export type { CniCommand, CniPlugin, PluginCall, PluginDeps } from "./plugin.ts";
export { PLUGIN_TYPES } from "./plugins/index.ts";
export {
  type CniResult,
  parseResult,
  type ResultInterface,
  type ResultIp,
  type ResultRoute,
  resultJson,
} from "./result.ts";
export { type AddOutcome, type Attachment, CniRuntime, type CniRuntimeOptions } from "./runtime/index.ts";
export { attachmentOf, runTool, TOOL_ACTIONS, type ToolAction, type ToolWish } from "./tool.ts";
