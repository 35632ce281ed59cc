/** What a cluster is made from: flags and files, checked. */
export { checkName } from "./checks.ts";
export { explainWithFile, parseConfigFile } from "./file.ts";
export {
  apiServiceAddresses,
  type ClusterConfig,
  type ClusterInput,
  controlPlane,
  defaults,
  dnsServiceAddress,
  type ImageInput,
  imageSettings,
  type LabProxyMode,
  labProxyModes,
  type NodeConfig,
  type NodeRole,
  resolveConfig,
  routerAddresses,
} from "./model.ts";
export { type NodeWish, nodeNamed, withNode, withoutNode } from "./nodes.ts";
