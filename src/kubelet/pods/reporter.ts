import { type Pod, referenceTo, resources } from "#api/index.ts";
import type { LogFields } from "#base/log.ts";
import type { ContainerImage } from "../images/index.ts";
import type { PodDeps } from "./deps.ts";

/** Tells people about one container: events of its pod, and lines of the agent's log. */
export class ContainerReporter {
  readonly #name: string;
  readonly #deps: Pick<PodDeps, "events" | "log">;
  readonly #pod: () => Pod;
  #noticed = false;

  /** @param name of the container */
  constructor(name: string, deps: Pick<PodDeps, "events" | "log">, pod: () => Pod) {
    this.#name = name;
    this.#deps = deps;
    this.#pod = pod;
  }

  /** Records an event of the pod that names the container. */
  event(type: "Normal" | "Warning", reason: string, message: string): void {
    const pod = this.#pod();
    const list = (["initContainers", "ephemeralContainers"] as const).find((l) =>
      pod.spec[l]?.some((c) => c.name === this.#name),
    );
    const path = `spec.${list ?? "containers"}{${this.#name}}`;
    this.#deps.events.event(referenceTo(resources.pods, pod, path), type, reason, message);
  }

  /** Says where the container's image comes from; what it really is, once. */
  announce(image: ContainerImage): void {
    if (image.notice && !this.#noticed) this.event("Normal", image.notice.reason, image.notice.message);
    this.#noticed = true;
    this.event("Normal", "Pulled", pulledMessage(image));
  }

  /** Writes a line to the agent's log. */
  say(message: string, fields: LogFields = {}): void {
    const { namespace, name } = this.#pod().metadata;
    this.#deps.log.info(message, { pod: `${namespace}/${name}`, container: this.#name, ...fields });
  }
}

/** The kubelet's words for how an image came. */
function pulledMessage({ reference, pulled }: ContainerImage): string {
  if (!pulled) return `Container image "${reference}" already present on machine and can be accessed by the pod`;
  const [took, waited] = [pulled.ms, pulled.withWaitingMs].map(shortDuration);
  return `Successfully pulled image "${reference}" in ${took} (${waited} including waiting). Image size: ${pulled.size} bytes.`;
}

/** A duration of milliseconds as Go prints it: `830ms`, `1.2s`, `1m2.5s`. */
function shortDuration(ms: number): string {
  if (ms < 1000) return ms === 0 ? "0s" : `${ms}ms`;
  const minutes = Math.floor(ms / 60_000);
  const seconds = `${(ms % 60_000) / 1000}s`;
  return minutes === 0 ? seconds : `${minutes}m${seconds}`;
}
