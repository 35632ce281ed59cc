import { mkdirSync } from "node:fs";
import type { Client, Informer, Pod, Service } from "#api/index.ts";
import type { Logger } from "#base/log.ts";
import type { Metrics } from "#base/metrics.ts";
import { Spawner } from "#kernel/process/index.ts";
import type { ImageSource } from "./images/index.ts";
import { type NodeModule, quiet } from "./modules/index.ts";
import { ownSubnets, type PodNetworkFacts } from "./network/index.ts";
import type { AgentOptions } from "./options.ts";
import { type AgentBase, type AgentParts, makeBase, makeParts } from "./parts.ts";
import type { PodManager } from "./pods/index.ts";

/** Mirror pods are made when the node's pods have been as they are for so long. */
const QUIET_MS = 2000;

/** What an agent is given. */
export interface AgentDeps {
  readonly client: Client;
  readonly log: Logger;
  /** Shared with other parts of the process, such as the service proxy; started and stopped by the caller. */
  readonly services?: Informer<Service>;
  /**
   * The node's subnets and its pods' MTU, once the pod network is up. Without it: what the node's object says, with
   * room for vxlan.
   */
  readonly podNetwork?: Promise<PodNetworkFacts>;
  readonly metrics?: Metrics;
  /** What the node's kernel holds and why, for who asks the agent's server. */
  readonly origins?: (pods: readonly Pod[]) => Promise<unknown>;
  /** What the node's service proxy goes by, for who asks the agent's server. */
  readonly serviceProxy?: () => unknown;
  /** What this process does for the node besides pods; shown as mirror pods. */
  readonly modules?: readonly NodeModule[];
  /** Default: templates over the machine's files. */
  readonly images?: ImageSource;
}

/** A running node agent. */
export interface Agent {
  readonly pods: PodManager;
  /** Lets go of the pods, which go on, and ends everything else. */
  stop(): Promise<void>;
}

/**
 * Starts a node agent: registers the node, takes over pods that run already, runs those that the API gives it.
 * Resolves when pods are being followed; registration and the API's absence are waited for in the background.
 * @throws SysError when this process may not make namespaces; Error with code EADDRINUSE
 */
export async function startAgent(options: AgentOptions, deps: AgentDeps): Promise<Agent> {
  makeFolders(options);
  const stop = new AbortController();
  const spawner = await Spawner.start({ thread: "inline" });
  const base = makeBase(options, deps, spawner, stop.signal);
  const parts = makeParts(base);
  startNetwork(base, parts, stop.signal);
  await parts.server.start();
  startRegistration(base, parts, stop.signal);
  parts.manifests?.start();
  await parts.manager.start(base.pods);
  deps.log.info("Following pods", { node: options.nodeName, pods: base.pods.list().length });
  return {
    pods: parts.manager,
    async stop() {
      const { registration, network, manager, mirrors, objects, server, echo, statuses } = parts;
      registration.stop();
      parts.manifests?.stop();
      network.stop();
      await Promise.all([manager.stop(), mirrors.stop()]);
      objects.stop();
      await Promise.all([server.stop(), echo.stop(), statuses.stop(), base.events.flush()]);
      stop.abort(new Error("the agent stops"));
      await spawner.stop();
    },
  };
}

function makeFolders({ folders }: AgentOptions): void {
  mkdirSync(folders.run, { recursive: true, mode: 0o700 });
  for (const folder of [folders.netns, folders.podLogs, folders.containerLogs]) mkdirSync(folder, { recursive: true });
}

/** Watches CNI configurations, and writes the default one when the node's subnets are known. */
function startNetwork({ options, deps }: AgentBase, { network }: AgentParts, signal: AbortSignal): void {
  network.start();
  const { client, log, podNetwork } = deps;
  const node = { name: options.nodeName, addresses: options.addresses };
  const facts = podNetwork ?? ownSubnets(node, client, { log, signal });
  facts
    .then(({ podCidrs, mtu }) => network.setPodCidrs(podCidrs, mtu))
    .catch((error: unknown) => {
      // The agent stops before the network is up.
      if (!signal.aborted) log.error("The pod network did not come up", { error });
    });
}

/** Registers the node, then shows its modules. */
function startRegistration(
  { deps, pods }: AgentBase,
  { registration, mirrors }: AgentParts,
  signal: AbortSignal,
): void {
  registration
    .start()
    .then(async ({ metadata }) => {
      // Nobody waits for these pods: those that are being started go first.
      await quiet(pods, QUIET_MS, signal);
      mirrors.start(metadata.uid ?? "");
    })
    .catch((error: unknown) => {
      if (!signal.aborted) deps.log.error("The node was not registered", { error });
    });
}
