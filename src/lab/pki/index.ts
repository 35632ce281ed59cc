/** Certificates of a cluster, and files that carry them. */
export { type KubeconfigRequest, kubeconfig } from "./kubeconfig.ts";
export { type ClusterPki, type KeyPair, makePki, type PkiRequest } from "./pki.ts";
