import { stringify } from "yaml";
import { kubernetesVersion } from "#api/index.ts";
import { type ClusterConfig, controlPlane } from "#lab/config/index.ts";

/** Port of the API server. */
export const API_PORT = 6443;
/** Folder of the cluster's certificates and keys. */
export const PKI = "/etc/kubernetes/pki";
/** Folder of a node's static pods. */
export const MANIFESTS = "/etc/kubernetes/manifests";

/** Flags of the API server and of the controllers that run in the same process, with upstream's names. */
export function apiServerFlags(config: ClusterConfig): string[] {
  const plane = controlPlane(config);
  return [
    `--advertise-address=${plane.addresses[0]}`,
    "--allow-privileged=true",
    "--authorization-mode=Node,RBAC",
    `--client-ca-file=${PKI}/ca.crt`,
    `--cluster-cidr=${config.podCidrs.join(",")}`,
    ...maskSizeFlags(config),
    `--kubelet-client-certificate=${PKI}/apiserver-kubelet-client.crt`,
    `--kubelet-client-key=${PKI}/apiserver-kubelet-client.key`,
    `--secure-port=${API_PORT}`,
    `--service-account-issuer=https://kubernetes.default.svc.${config.clusterDomain}`,
    `--service-account-key-file=${PKI}/sa.pub`,
    `--service-account-signing-key-file=${PKI}/sa.key`,
    `--service-cluster-ip-range=${config.serviceCidrs.join(",")}`,
    `--tls-cert-file=${PKI}/apiserver.crt`,
    `--tls-private-key-file=${PKI}/apiserver.key`,
  ];
}

/** How large a node's part of each pod range is; a flag of a family that the cluster has not would be refused. */
function maskSizeFlags({ podCidrs, nodeCidrMaskSizes }: ClusterConfig): string[] {
  const families = podCidrs.map((cidr) => (cidr.includes(":") ? 6 : 4));
  return families.toSorted().map((family) => `--node-cidr-mask-size-ipv${family}=${nodeCidrMaskSizes[family]}`);
}

/** A part of the control plane as its static pod shows it. */
interface Component {
  readonly name: string;
  readonly flags: readonly string[];
  readonly probe: { readonly host: string; readonly port: number; readonly path: string };
  readonly annotations?: Readonly<Record<string, string>>;
}

function components(config: ClusterConfig): Component[] {
  const address = controlPlane(config).addresses[0] ?? "";
  return [
    {
      name: "kube-apiserver",
      flags: apiServerFlags(config),
      probe: { host: address, port: API_PORT, path: "/livez" },
      annotations: {
        "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint": `${address}:${API_PORT}`,
      },
    },
    {
      name: "kube-controller-manager",
      flags: [
        "--allocate-node-cidrs=true",
        `--cluster-cidr=${config.podCidrs.join(",")}`,
        ...maskSizeFlags(config),
        `--service-cluster-ip-range=${config.serviceCidrs.join(",")}`,
      ],
      probe: { host: "127.0.0.1", port: 10257, path: "/healthz" },
    },
    { name: "kube-scheduler", flags: [], probe: { host: "127.0.0.1", port: 10259, path: "/livez" } },
  ];
}

/**
 * Manifests of static pods that describe the control plane, where kubeadm would put them (INVENTORY K03). The node
 * agent runs none of them: they name the process that does the work.
 */
export function staticPodFiles(config: ClusterConfig): Record<string, string> {
  return Object.fromEntries(
    components(config).map((component) => [
      `${MANIFESTS}/${component.name}.yaml`,
      stringify(manifest(component), { lineWidth: 0 }),
    ]),
  );
}

function manifest({ name, flags, probe, annotations }: Component) {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      annotations: { ...annotations, "podwire.dev/process": "kube-apiserver" },
      labels: { component: name, tier: "control-plane" },
      name,
      namespace: "kube-system",
    },
    spec: {
      containers: [
        {
          command: [name, ...flags],
          image: `registry.k8s.io/${name}:${kubernetesVersion}`,
          livenessProbe: { httpGet: { ...probe, scheme: "HTTPS" }, periodSeconds: 10 },
          name,
        },
      ],
      hostNetwork: true,
      priorityClassName: "system-node-critical",
    },
  };
}
