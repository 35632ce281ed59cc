/** Certificates of a cluster, and files that carry them. */
export { type Authority, type KeyPair, newKeys, openAuthority, pem } from "./authority.ts";
export { type KubeconfigRequest, kubeconfig } from "./kubeconfig.ts";
export { type ClusterPki, issueForNode, type KeptKeys, makePki, type PkiRequest } from "./pki.ts";
