import { type Container, type Pod, referenceTo, resources } from "#api/index.ts";
import { ImageError } from "../images/index.ts";
import { containerLogPath } from "../logs/index.ts";
import { lightContainer, type RunningContainer } from "../runtime/index.ts";
import { ContainerConfigError } from "../spec/env.ts";
import type { PodDeps } from "./deps.ts";
import type { ContainerRecord } from "./record.ts";
import type { ContainerUnit } from "./unit.ts";

/** Set to `"true"`: the pod's containers need no process of their own. */
export const LIGHT_ANNOTATION = "podwire.dev/light";

const SIGKILL = 9;

function isAsked({ metadata }: Pod): boolean {
  return metadata.annotations?.[LIGHT_ANNOTATION] === "true";
}

/** Containers that can be light; those that were put into the pod later have processes, in order to look around. */
function lastingContainers({ spec }: Pod): Container[] {
  return [...(spec.initContainers ?? []), ...spec.containers];
}

/** Says of a light pod what it cannot do. */
export function noProcess(what: string): string {
  return `${what}: the pod has the annotation ${LIGHT_ANNOTATION}: "true", so its containers have no process of their own`;
}

/** @throws ContainerConfigError for a probe or a hook that is a command */
function refuseCommands({ name, livenessProbe, readinessProbe, startupProbe, lifecycle }: Container): void {
  const handlers = { livenessProbe, readinessProbe, startupProbe, ...lifecycle };
  for (const [field, handler] of Object.entries(handlers))
    if (typeof handler === "object" && handler.exec)
      throw new ContainerConfigError(noProcess(`${field}.exec of container ${name} cannot be run`));
}

/** Whether a pod is light, as far as its images are known. */
export class PodLightness {
  readonly #deps: Pick<PodDeps, "events">;
  #isDecided: boolean;
  #isLight = false;

  /** @param pod annotations of its first state count */
  constructor(pod: Pod, deps: Pick<PodDeps, "events">) {
    this.#deps = deps;
    this.#isDecided = !isAsked(pod);
  }

  /** Looks at the containers' images until they are known; an event says why a pod is not light. */
  async decide(pod: Pod, units: readonly ContainerUnit[]): Promise<boolean> {
    if (this.#isDecided) return this.#isLight;
    const names = new Set(lastingContainers(pod).map(({ name }) => name));
    const lasting = units.filter(({ container }) => names.has(container.name));
    const stranger = await strangerAmong(lasting);
    // No image yet: who starts the container says why.
    if (stranger === undefined) return false;
    this.#isDecided = true;
    this.#isLight = stranger === "none";
    // A pod that has been taken over was told by the agent before.
    if (stranger !== "none" && !lasting.some(({ record }) => record)) {
      const message = `The annotation ${LIGHT_ANNOTATION} is for containers of the image podwire/echo; container ${stranger.name} is of ${stranger.image}: the pod runs as an ordinary one`;
      this.#deps.events.event(referenceTo(resources.pods, pod), "Warning", "NotLight", message);
    }
    return this.#isLight;
  }

  /** Whether a container of the pod has no process. */
  includes(pod: Pod, { name }: Container): boolean {
    return this.#isLight && lastingContainers(pod).some((container) => container.name === name);
  }
}

/** The first container that needs a process; one that has been started stays. Undefined when an image cannot be had. */
async function strangerAmong(units: readonly ContainerUnit[]): Promise<Container | "none" | undefined> {
  try {
    for (const { container, record, image } of units) {
      const isLight = record ? record.isLight : (await image.ask()).served;
      if (!isLight) return container;
    }
    return "none";
  } catch (error) {
    if (error instanceof ImageError) return undefined;
    // Nothing is started, so nobody else would have it asked for anew.
    for (const { image } of units) image.forget();
    throw error;
  }
}

/** What is run for a light container. */
export interface LightRun {
  readonly id: string;
  readonly netns?: string;
  readonly logPath: string;
  start(): Promise<RunningContainer>;
}

/** Puts the run of a light container together. @throws ContainerConfigError */
export function prepareLight(
  { logFolders }: Pick<PodDeps, "logFolders">,
  pod: Pod,
  container: Container,
  netns: string | undefined,
  run: { readonly id: string; readonly count: number },
): LightRun {
  refuseCommands(container);
  const logPath = containerLogPath(logFolders, pod, container.name, run.count);
  const handle = { id: run.id, podUid: pod.metadata.uid ?? "", logPath };
  return {
    id: run.id,
    logPath,
    ...(netns === undefined ? {} : { netns }),
    start: async () => lightContainer(handle),
  };
}

/** Takes over a container that another agent started. @returns undefined when it is gone */
export function adoptRun(
  deps: Pick<PodDeps, "network" | "runtime" | "log">,
  record: ContainerRecord,
  pid: number | undefined,
  podUid: string,
): RunningContainer | undefined {
  if (record.isLight) return adoptLight(deps, record, podUid);
  if (pid === undefined) return undefined;
  try {
    return deps.runtime.adopt({ id: record.id, podUid, pid, logPath: record.logPath });
  } catch (error) {
    // One that nobody follows must not go on: the next run of it would be beside it.
    deps.log.error("A container could not be taken over and is ended", { container: record.id, error });
    kill(pid);
    return undefined;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, SIGKILL);
  } catch {
    // It has ended.
  }
}

/** Light ones go with their pod's network. */
function adoptLight(
  { network }: Pick<PodDeps, "network">,
  { id, logPath, served }: ContainerRecord,
  podUid: string,
): RunningContainer | undefined {
  if (!served || (served.netns !== undefined && !network.isThere({ netns: served.netns }))) return undefined;
  return lightContainer({ id, podUid, logPath });
}
