import type { KeyPair } from "./authority.ts";

/** What a kubeconfig file says. */
export interface KubeconfigRequest {
  readonly cluster: string;
  readonly user: string;
  /** URL of the API server. */
  readonly server: string;
  readonly ca: string;
  readonly client: KeyPair;
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** Text of a kubeconfig file with everything in it (kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig). */
export function kubeconfig({ cluster, user, server, ca, client }: KubeconfigRequest): string {
  return `apiVersion: v1
kind: Config
clusters:
- name: ${cluster}
  cluster:
    server: ${server}
    certificate-authority-data: ${base64(ca)}
users:
- name: ${user}
  user:
    client-certificate-data: ${base64(client.cert)}
    client-key-data: ${base64(client.key)}
contexts:
- name: ${user}@${cluster}
  context:
    cluster: ${cluster}
    user: ${user}
current-context: ${user}@${cluster}
`;
}
