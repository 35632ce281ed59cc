import { type Client, resources } from "#api/index.ts";
import { PodwireError } from "#base/errors.ts";
import { type ClusterConfig, controlPlane } from "#lab/config/index.ts";
import type { KnownMachine } from "./engineLink.ts";

/** How long the API server may take for one answer, in ms: two of them are less than a command waits for its own. */
export const API_MS = 4_000;

/** Why a change that needs the API cannot be made; undefined while the control plane's machine runs. */
export function withoutApi(
  config: ClusterConfig,
  machines: ReadonlyMap<string, KnownMachine>,
): PodwireError | undefined {
  const { name } = controlPlane(config);
  const state = machines.get(name)?.state ?? "stopped";
  if (state === "running") return undefined;
  return new PodwireError("Stopped", `the control plane is ${state}: podwire node start ${name}`);
}

/** Resolves when the API server answers. @throws PodwireError "NoAnswer" when it does not within `ms`; ApiError */
export async function apiAnswers(client: Client, { name }: { readonly name: string }, ms = API_MS): Promise<void> {
  const query = { fieldSelector: `metadata.name=${name}` };
  await answered((signal) => client.list(resources.nodes, { ...query, signal }), ms);
}

/**
 * One request to the API server that nobody waits for without an end: one whose machine stands still takes connections
 * and says nothing.
 * @throws PodwireError "NoAnswer" when it is not done within `ms`, or what the request throws
 */
export async function answered<T>(request: (signal: AbortSignal) => Promise<T>, ms = API_MS): Promise<T> {
  const late = AbortSignal.timeout(ms);
  try {
    return await request(late);
  } catch (error) {
    if (!late.aborted) throw error;
    const message = `the API server does not answer (${ms / 1000} s); podwire status says why`;
    throw new PodwireError("NoAnswer", message, {}, error);
  }
}
