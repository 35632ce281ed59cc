import { apiServerNodeOptions, nodeOptions } from "#base/entry.ts";
import {
  apiServiceAddresses,
  type ClusterConfig,
  controlPlane,
  dnsServiceAddress,
  type NodeConfig,
  routerAddresses,
} from "#lab/config/index.ts";
import type { BootRequest, ProcessSpec } from "#lab/engine/index.ts";
import { hostsFile, IMAGE_ROOT, interfacesFile, PROGRAM_ROOT, sysctlFile } from "#lab/machine/index.ts";
import { type ClusterPki, type KeyPair, kubeconfig } from "#lab/pki/index.ts";
import { clusterTopology, type MachineModel } from "#lab/topology/index.ts";
import { API_PORT, apiServerFlags, MANIFESTS, PKI, staticPodFiles } from "./staticPods.ts";

const NODE = `${PROGRAM_ROOT}/bin/node`;
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/cni/bin";
/** CNI plugins of ours, each an executable of its own name. */
const CNI_PLUGINS = ["bridge", "host-local", "loopback"] as const;
/** Where the control plane keeps its log: on the machine's disk, so that it outlives the process. */
export const STATE_MOUNT = "/var/lib/podwire";
/** Id of the API server's listener on the host. */
export const API_LISTENER = "api";

type Files = Record<string, string>;

/** Names and addresses by which clients reach the API server: its certificate must carry all of them. */
export function apiServerNames(config: ClusterConfig, hostAddress: string): string[] {
  const plane = controlPlane(config);
  const service = [
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    `kubernetes.default.svc.${config.clusterDomain}`,
  ];
  return [
    plane.name,
    "localhost",
    ...service,
    ...plane.addresses,
    ...apiServiceAddresses(config),
    "127.0.0.1",
    hostAddress,
  ];
}

/** URL of the API server on the node network. */
function apiUrl(config: ClusterConfig): string {
  const address = controlPlane(config).addresses[0] ?? "";
  return `https://${address.includes(":") ? `[${address}]` : address}:${API_PORT}`;
}

/** How a cluster is kept. */
export interface PlanOptions {
  /** What the API server acknowledges is on the disk; else it outlives the killed process alone. */
  readonly durable?: boolean;
  /** Folder of the control group in which nodes get their own. */
  readonly cgroup?: string;
}

/** Everything the engine has to build for a cluster. Pure: no clock, no I/O. */
export function clusterPlan(config: ClusterConfig, pki: ClusterPki, options: PlanOptions = {}): BootRequest {
  const topology = clusterTopology(config);
  const plane = controlPlane(config);
  const files: Record<string, Files> = {};
  for (const machine of topology.machines) {
    const node = config.nodes.find((n) => n.name === machine.name);
    files[machine.name] = { ...machineFiles(config, machine), ...(node ? nodeFiles(config, pki, node) : {}) };
  }
  files[plane.name] = { ...files[plane.name], ...controlPlaneFiles(config, pki) };
  const listener = { machine: plane.name, address: "0.0.0.0", port: API_PORT };
  return {
    topology,
    files,
    listeners: [listener],
    stateMounts: { [plane.name]: STATE_MOUNT },
    processes: [apiServerProcess(config, options), ...config.nodes.map((node) => kubeletProcess(node, config))],
    resolver: routerAddresses(config),
    ...(options.cgroup === undefined ? {} : { cgroup: options.cgroup }),
    ...(config.privileged ? { privileged: true } : {}),
    ...(config.outside
      ? { outside: { inside: { own: config.nodeCidrs, others: [...config.podCidrs, ...config.serviceCidrs] } } }
      : {}),
  };
}

function machineFiles(config: ClusterConfig, machine: MachineModel): Files {
  const everybody = [{ name: "router", addresses: routerAddresses(config) }, ...config.nodes];
  const gateways = machine.routes.filter((r) => r.to === "default").map((r) => r.via);
  return {
    "/etc/hostname": `${machine.name}\n`,
    "/etc/hosts": hostsFile(machine.name, everybody),
    "/etc/resolv.conf": `${routerAddresses(config)
      .map((a) => `nameserver ${a}\n`)
      .join("")}`,
    "/etc/sysctl.conf": sysctlFile(machine.sysctls),
    "/etc/network/interfaces": interfacesFile(machine.interfaces, gateways),
    "/root/.bashrc": "PS1='\\u@\\h:\\w\\$ '\nalias ll='ls -l'\nexport KUBECONFIG=/etc/kubernetes/admin.conf\n",
    "/root/.profile": '[ -n "$BASH" ] && . ~/.bashrc\n',
  };
}

function pairFiles(path: string, pair: KeyPair): Files {
  return { [`${path}.crt`]: pair.cert, [`${path}.key`]: pair.key };
}

function nodeFiles(config: ClusterConfig, pki: ClusterPki, node: NodeConfig): Files {
  const pair = pki.nodes[node.name] as KeyPair;
  const wrapper = (plugin: string): string => `#!/bin/sh\nexec ${NODE} ${PROGRAM_ROOT}/dist/cni.cjs ${plugin} "$@"\n`;
  return {
    [`${PKI}/ca.crt`]: pki.ca,
    // The node agent watches it, and so sees a manifest at once (kubeadm makes it on every node).
    [`${MANIFESTS}/`]: "",
    "/etc/kubernetes/kubelet.conf": kubeconfig({
      cluster: config.name,
      user: `system:node:${node.name}`,
      server: apiUrl(config),
      ca: pki.ca,
      client: pair,
    }),
    ...pairFiles("/var/lib/kubelet/pki/kubelet", pair),
    "/var/lib/kubelet/config.yaml": kubeletConfig(config, node),
    "/etc/kube-flannel/net-conf.json": `${JSON.stringify(flannelConfig(config), null, 2)}\n`,
    ...Object.fromEntries(CNI_PLUGINS.map((plugin) => [`/opt/cni/bin/${plugin}`, wrapper(plugin)])),
  };
}

/** The pod network's configuration in flannel's format. */
function flannelConfig(config: ClusterConfig): Record<string, unknown> {
  const [v4, v6] = [config.podCidrs.find((c) => !c.includes(":")), config.podCidrs.find((c) => c.includes(":"))];
  return {
    ...(v4 ? { Network: v4 } : { EnableIPv4: false }),
    ...(v6 ? { EnableIPv6: true, IPv6Network: v6 } : {}),
    Backend: { Type: "vxlan" },
  };
}

/** A control plane keeps pods away, unless there is no other node for them. */
function taintsOf(config: ClusterConfig, node: NodeConfig): { key: string; effect: string }[] {
  if (node.role !== "control-plane" || config.nodes.length === 1) return [];
  return [{ key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" }];
}

/** KubeletConfiguration v1beta1 (kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1). */
function kubeletConfig(config: ClusterConfig, node: NodeConfig): string {
  return `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 0.0.0.0
authentication:
  anonymous:
    enabled: false
  x509:
    clientCAFile: ${PKI}/ca.crt
cgroupDriver: cgroupfs
clusterDNS:
- ${dnsServiceAddress(config)}
clusterDomain: ${config.clusterDomain}
containerRuntimeEndpoint: ""
healthzBindAddress: 127.0.0.1
healthzPort: 10248
imageGCHighThresholdPercent: 100
maxPods: ${config.maxPods}
port: 10250
resolvConf: /etc/resolv.conf
staticPodPath: ${MANIFESTS}
tlsCertFile: /var/lib/kubelet/pki/kubelet.crt
tlsPrivateKeyFile: /var/lib/kubelet/pki/kubelet.key
registerWithTaints: ${JSON.stringify(taintsOf(config, node))}
`;
}

function controlPlaneFiles(config: ClusterConfig, pki: ClusterPki): Files {
  return {
    ...pairFiles(`${PKI}/apiserver`, pki.apiserver),
    ...pairFiles(`${PKI}/apiserver-kubelet-client`, pki.apiserverKubeletClient),
    [`${PKI}/sa.pub`]: pki.serviceAccount.publicKey,
    [`${PKI}/sa.key`]: pki.serviceAccount.privateKey,
    "/etc/kubernetes/admin.conf": kubeconfig({
      cluster: config.name,
      user: "kubernetes-admin",
      server: apiUrl(config),
      ca: pki.ca,
      client: pki.admin,
    }),
    ...staticPodFiles(config),
  };
}

function apiServerProcess(config: ClusterConfig, { durable = false }: PlanOptions): ProcessSpec {
  const plane = controlPlane(config);
  return {
    name: "kube-apiserver",
    machine: plane.name,
    argv: [
      NODE,
      ...apiServerNodeOptions,
      `${PROGRAM_ROOT}/dist/kube-apiserver.cjs`,
      ...apiServerFlags(config),
      "--listen-fd=3",
      "--listen-fd=4",
      `--node-order=${config.nodes.map((n) => n.name).join(",")}`,
      `--data-dir=${STATE_MOUNT}`,
      `--durability=${durable ? "disk" : "process"}`,
      "--log-dir=/var/log",
    ],
    env: { PATH, HOME: "/root" },
    log: "/var/log/kube-apiserver.log",
    descriptors: [API_LISTENER, `${plane.name}/0.0.0.0:${API_PORT}`],
  };
}

function kubeletProcess(node: NodeConfig, { runtime }: ClusterConfig): ProcessSpec {
  return {
    name: `kubelet/${node.name}`,
    machine: node.name,
    argv: [
      NODE,
      ...nodeOptions,
      `${PROGRAM_ROOT}/dist/kubelet.cjs`,
      "--config=/var/lib/kubelet/config.yaml",
      "--kubeconfig=/etc/kubernetes/kubelet.conf",
      `--hostname-override=${node.name}`,
      `--node-ip=${node.addresses.join(",")}`,
      "--network-plugin=cni",
      "--cni-conf-dir=/etc/cni/net.d",
      "--cni-bin-dir=/opt/cni/bin",
      `--image-folder=${IMAGE_ROOT}`,
      `--runtime=${runtime}`,
    ],
    env: { PATH, HOME: "/root" },
    log: "/var/log/kubelet.log",
    descriptors: [],
  };
}
