import type { Container, Pod } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import type { RunningContainer } from "../runtime/index.ts";
import type { PodDeps, ServedContainer } from "./deps.ts";
import type { PodSetup } from "./prepare.ts";

/** A run of a container that the node's serving process answers for. */
export interface ServedRun {
  readonly id: string;
  /** Path of the pod's network namespace; absent: the node's. */
  readonly netns: string | undefined;
  readonly args: readonly string[];
}

/** What the serving process is told of a container's run. */
function servedContainer(
  pod: Pod,
  container: Container,
  setup: Pick<PodSetup, "podIPs">,
  node: string,
  { id, netns, args }: ServedRun,
): ServedContainer {
  const ports = (container.ports ?? []).filter((p) => (p.protocol ?? "TCP") === "TCP").map((p) => p.containerPort);
  return {
    id,
    ...(netns === undefined ? {} : { netns }),
    args,
    ports,
    pod: pod.metadata.name,
    namespace: pod.metadata.namespace ?? "",
    node,
    addresses: setup.podIPs,
  };
}

const SIGKILL = 9;

/** A run that the serving process is to answer for. */
export interface Serving {
  readonly pod: Pod;
  readonly container: Container;
  readonly setup: Pick<PodSetup, "podIPs">;
  readonly running: RunningContainer;
  readonly run: ServedRun;
  /** Called before the serving process is told, with what a later agent has to tell it again. */
  readonly keep: (served: ServedContainer) => void;
}

/** Has the serving process answer for a run; one that cannot be served says so in its log, and ends. */
export async function serveContainer(
  { servers, node }: Pick<PodDeps, "servers" | "node">,
  { pod, container, setup, running, run, keep }: Serving,
): Promise<void> {
  const served = servedContainer(pod, container, setup, node.name, run);
  keep(served);
  try {
    await servers.add(served);
  } catch (error) {
    running.log.write("stderr", Buffer.from(`${errorMessage(error)}\n`));
    running.kill(SIGKILL);
  }
}
