import { networkInterfaces } from "node:os";
import { Client, http2Transport, kubernetesVersion, loadKubeconfig, type Pod } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import { formatCidr } from "#base/ip.ts";
import { createFileLogger, createStderrLogger } from "#base/logFile.ts";
import { Metrics } from "#base/metrics.ts";
import { nodeOrigins } from "#explain/index.ts";
import { openConntrack } from "#kernel/conntrack/index.ts";
import { openRtnetlink } from "#kernel/netlink/index.ts";
import { openNftables } from "#kernel/nft/index.ts";
import { showCommandLine } from "#kernel/process/index.ts";
import { type AgentOptions, agentOptions, type NodeModule, processRun, startAgent } from "#kubelet/index.ts";
import { type PodNetwork, readConfig, startPodNetwork } from "#network/index.ts";
import { ProxyModule } from "./proxyModule.ts";

const NET_CONF = "/etc/kube-flannel/net-conf.json";

/** The interface that carries the node's address. */
function interfaceOf(address: string): string {
  const found = Object.entries(networkInterfaces()).find(([, list]) => list?.some((a) => a.address === address));
  if (!found) throw new Error(`no interface of this machine has the node's address ${address}`);
  return found[0];
}

/** A module's log, in a file of its own as where it is a program of its own. */
function moduleLog({ folders }: AgentOptions, name: string) {
  return createFileLogger(name, `${folders.log}/${name}.log`);
}

/** What this process does besides pods, as pods show it: named, labelled and run as upstream's DaemonSets are. */
function nodeModules({ folders }: AgentOptions, network: PodNetwork, proxy: ProxyModule): NodeModule[] {
  const module = (
    pod: string,
    labels: Readonly<Record<string, string>>,
    container: NodeModule["spec"]["container"],
    status: () => { readonly ready: boolean; readonly error?: string },
  ): NodeModule => ({
    spec: { pod, naming: "suffix", labels, container, process: "kubelet", log: `${folders.log}/${container.name}.log` },
    run: () => processRun(process.pid),
    problem: () => (status().ready ? undefined : (status().error ?? "it is still starting")),
  });
  const shownProxy = module(
    "kube-proxy",
    { "k8s-app": "kube-proxy" },
    { name: "kube-proxy", image: `registry.k8s.io/kube-proxy:${kubernetesVersion}`, command: ["kube-proxy"] },
    () => proxy.status(),
  );
  return [
    { ...shownProxy, run: () => proxy.run(), restart: () => proxy.restart() },
    module(
      "kube-flannel-ds",
      { app: "flannel", tier: "node", "k8s-app": "flannel" },
      { name: "kube-flannel", image: "ghcr.io/flannel-io/flannel:v0.27.4", command: ["flanneld", "--kube-subnet-mgr"] },
      () => network.status(),
    ),
  ];
}

/** The parts of a node besides its pods: the network between nodes, and Services. Started first, they do not wait. */
function startNetworking(options: AgentOptions, client: Client, signal: AbortSignal) {
  const nft = openNftables();
  const rtnl = openRtnetlink();
  const { networks } = readConfig(NET_CONF, []);
  const network = startPodNetwork(
    {
      nodeName: options.nodeName,
      nodeAddresses: options.addresses,
      externalInterface: interfaceOf(options.addresses[0] ?? ""),
      clusterCidrs: [],
    },
    { client, rtnl, nft, log: moduleLog(options, "kube-flannel"), signal },
  );
  const proxy = new ProxyModule({
    nodeName: options.nodeName,
    nodeAddresses: options.addresses,
    defaults: { bindAddress: "0.0.0.0", clusterCIDR: networks.map(formatCidr).join(",") },
    client,
    nft,
    conntrack: openConntrack(),
    log: moduleLog(options, "kube-proxy"),
  });
  let podCidrs: readonly string[] = [];
  network.ready
    .then((info) => (podCidrs = info.podCidrs))
    .catch(() => {
      // The agent stops before the network is up.
    });
  const origins = (pods: readonly Pod[]) =>
    nodeOrigins({ nodeName: options.nodeName, nft, rtnl, pods: () => pods, podCidrs: () => podCidrs });
  return { network, proxy, origins };
}

/** The node agent: `kubelet --config=… --kubeconfig=… --node-ip=…`. */
async function main(): Promise<void> {
  const args = process.argv.slice(2);
  // What `ps` shows; upstream's program is looked for by this name.
  showCommandLine(["/usr/bin/kubelet", ...args]);
  const options = agentOptions(args);
  const log = createStderrLogger("kubelet", `${options.folders.log}/kubelet.log`);
  const transport = http2Transport(await loadKubeconfig(options.kubeconfig));
  const client = new Client(transport, { userAgent: "kubelet" });
  const stop = new AbortController();
  const metrics = new Metrics();
  const { network, proxy, origins } = startNetworking(options, client, stop.signal);
  const modules = nodeModules(options, network, proxy);
  const serviceProxy = () => proxy.facts();
  const parts = { podNetwork: network.ready, metrics, origins, serviceProxy, modules };
  const agent = await startAgent(options, { client, log, ...parts });
  const end = async (signal: string) => {
    log.info("Stopping; pods and rules stay", { signal });
    await agent.stop();
    stop.abort(new Error("the agent stops"));
    await Promise.all([network.ended, proxy.stop()]);
    await transport.close();
    process.exit(0);
  };
  process.once("SIGTERM", (signal) => void end(signal));
  process.once("SIGINT", (signal) => void end(signal));
}

main().catch((error: unknown) => {
  process.stderr.write(`kubelet: ${errorMessage(error)}\n`);
  process.exit(1);
});
