import type { Pod } from "#api/index.ts";
import { findCrun, installHint, RUNTIMES, type RuntimeName } from "../runtime/index.ts";
import type { PodDeps } from "./deps.ts";

/** Handlers of this machine, by name. */
export function presentHandlers(): RuntimeName[] {
  return RUNTIMES.filter((name) => name !== "crun" || findCrun() !== undefined).sort();
}

/** @throws Error in upstream's words, and how it can be mended */
function supported(handler: string): RuntimeName {
  const refusal = `RuntimeHandler ${JSON.stringify(handler)} not supported`;
  const found = RUNTIMES.find((name) => name === handler);
  if (found === undefined) throw new Error(`${refusal}: handlers of this node are ${RUNTIMES.join(", ")}`);
  if (!presentHandlers().includes(found)) throw new Error(`${refusal}: crun is not on this machine; ${installHint}`);
  return found;
}

/** What starts a pod's containers: decided once, so that a pod keeps it. */
export class PodHandler {
  readonly #deps: Pick<PodDeps, "objects" | "defaultRuntime">;
  #chosen: RuntimeName | undefined;

  /** @param chosen what an earlier agent has decided */
  constructor(deps: Pick<PodDeps, "objects" | "defaultRuntime">, chosen?: RuntimeName) {
    this.#deps = deps;
    this.#chosen = chosen;
  }

  get chosen(): RuntimeName | undefined {
    return this.#chosen;
  }

  /** Decides. @throws Error for a RuntimeClass that does not exist, or a handler that this node does not have */
  async choose({ spec }: Pod): Promise<void> {
    this.#chosen ??= supported(await this.#handlerOf(spec.runtimeClassName));
  }

  async #handlerOf(name: string | undefined): Promise<string> {
    if (!name) return this.#deps.defaultRuntime;
    const found = await this.#deps.objects.runtimeClass(name);
    // As upstream's runtimeclass.Manager, whose lister says so.
    if (!found) throw new Error(`failed to get RuntimeClass ${name}: runtimeclasses.node.k8s.io "${name}" not found`);
    return found.handler;
  }
}
