import { createPublicKey } from "node:crypto";
import { type Authority, type KeyPair, newKeys, openAuthority, pem } from "./authority.ts";

/** The certificates of a cluster, as kubeadm lays them out under /etc/kubernetes/pki. */
export interface ClusterPki {
  /** PEM of the certificate authority. */
  readonly ca: string;
  /** What a cluster that is kept puts aside; no machine of the cluster gets the authority's key. */
  readonly kept: KeptKeys;
  readonly apiserver: KeyPair;
  readonly apiserverKubeletClient: KeyPair;
  readonly admin: KeyPair;
  /** By node name: serving certificate and client identity `system:node:<name>` in one. */
  readonly nodes: Readonly<Record<string, KeyPair>>;
  /** Signs ServiceAccount tokens. */
  readonly serviceAccount: { readonly publicKey: string; readonly privateKey: string };
}

/** Who needs which names. */
export interface PkiRequest {
  /** DNS names and addresses by which clients reach the API server. */
  readonly apiNames: readonly string[];
  readonly nodes: readonly { readonly name: string; readonly addresses: readonly string[] }[];
}

/** What stays the same when a cluster is started again: trust in its certificates and tokens hangs on it. PEM. */
export interface KeptKeys {
  readonly authority: KeyPair;
  /** Private key that signs ServiceAccount tokens. */
  readonly serviceAccountKey: string;
}

/** The key pair of a node's agent: its serving certificate and its identity as a client in one. */
export function issueForNode(authority: Authority, { name, addresses }: PkiRequest["nodes"][number]): KeyPair {
  return authority.issue({
    subject: { organization: "system:nodes", commonName: `system:node:${name}` },
    names: [name, ...addresses],
    purposes: ["server", "client"],
  });
}

/**
 * Makes all certificates of a cluster (ECDSA P-256, one year), of an authority that was kept where there is one; takes
 * a few milliseconds.
 */
export function makePki(request: PkiRequest, kept?: KeptKeys): ClusterPki {
  const authority = openAuthority(kept?.authority);
  const client = (commonName: string): KeyPair =>
    authority.issue({ subject: { organization: "system:masters", commonName }, purposes: ["client"] });
  const serviceAccountKey = kept?.serviceAccountKey ?? pem(newKeys().privateKey);
  return {
    ca: authority.cert,
    kept: { authority: { cert: authority.cert, key: authority.key }, serviceAccountKey },
    apiserver: authority.issue({
      subject: { commonName: "kube-apiserver" },
      names: request.apiNames,
      purposes: ["server"],
    }),
    apiserverKubeletClient: client("kube-apiserver-kubelet-client"),
    admin: client("kubernetes-admin"),
    nodes: Object.fromEntries(request.nodes.map((entry) => [entry.name, issueForNode(authority, entry)])),
    serviceAccount: { publicKey: pem(createPublicKey(serviceAccountKey)), privateKey: serviceAccountKey },
  };
}
