import type { MirrorPods } from "../modules/index.ts";
import { type ContainerUnit, noProcess, type PodManager, type PodWorker } from "../pods/index.ts";
import type { RunningContainer } from "../runtime/index.ts";
import type { PodPlace } from "./dial.ts";
import { type ContainerPath, RequestError } from "./requests.ts";

/** Where pods are looked for. */
export interface PodFinder {
  readonly pods: Pick<PodManager, "find">;
  readonly modules: Pick<MirrorPods, "find">;
}

/** A container that runs. */
export interface FoundContainer {
  readonly worker: PodWorker;
  readonly unit: ContainerUnit;
  readonly running: RunningContainer;
}

/** The running container that a path names. @throws RequestError */
export function findContainer({ pods, modules }: PodFinder, path: ContainerPath): FoundContainer {
  const module = modules.find(path.namespace, path.pod);
  if (module) {
    const message = `pod ${path.pod} shows a module of the process ${module.process} on this node: there is no container to enter`;
    throw new RequestError(400, message);
  }
  const worker = pods.find(path.namespace, path.pod);
  if (!worker) throw new RequestError(404, "pod does not exist");
  const unit = worker.unit(path.container);
  if (!unit) throw new RequestError(404, notFound(path, path.container ?? ""));
  const { running } = unit;
  if (!running) throw new RequestError(500, notFound(path, unit.container.name));
  if (running.isLight) {
    const message = noProcess(`container ${unit.container.name} of pod ${path.pod} cannot be entered or attached to`);
    throw new RequestError(400, message);
  }
  return { worker, unit, running };
}

/** Upstream's words for exec, and those for attach (kubelet_pods.go, GetExec and GetAttach). */
function notFound({ verb, namespace, pod }: ContainerPath, container: string): string {
  if (verb === "attach") return `container ${container} not found in pod ${pod}_${namespace}`;
  return `container not found (${JSON.stringify(container)})`;
}

/** Where the `localhost` of a path's pod is. A module of the node is where the node is. @throws RequestError */
export function findPlace({ pods, modules }: PodFinder, path: ContainerPath): PodPlace {
  if (modules.find(path.namespace, path.pod)) return { id: path.pod };
  const worker = pods.find(path.namespace, path.pod);
  if (!worker) throw new RequestError(404, "pod does not exist");
  const { sandbox } = worker.setup;
  if (sandbox) {
    if (sandbox.netns === "") throw new RequestError(500, `the network of pod ${path.pod} is gone`);
    return { id: sandbox.id, netns: sandbox.netns };
  }
  if (worker.pod.spec.hostNetwork) return { id: worker.uid };
  throw new RequestError(500, `pod ${path.pod} has no network yet`);
}
