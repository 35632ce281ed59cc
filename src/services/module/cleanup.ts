import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { Nftables } from "#kernel/nft/index.ts";
import type { ProxyMode, TrafficSettings } from "../backends/index.ts";
import { ProxyConfigError } from "../config/index.ts";
import { availableModes, backendOf } from "./modes.ts";

/** What cleaning up needs. */
export interface CleanupDeps {
  readonly nft: Nftables;
  readonly log: Logger;
}

/** Removes what other modes left on this node, as well as it can: after ours are there, so that nothing is missed. */
export async function cleanOthers(mode: ProxyMode, settings: TrafficSettings, deps: CleanupDeps): Promise<void> {
  for (const other of availableModes.filter((name) => name !== mode)) {
    try {
      await cleanUpMode(other, settings, deps);
    } catch (error) {
      deps.log.warn("Rules of another mode were not removed", { proxyMode: other, err: errorMessage(error) });
    }
  }
}

async function cleanUpMode(mode: ProxyMode, settings: TrafficSettings, deps: CleanupDeps): Promise<void> {
  const backend = backendOf(mode, settings, deps);
  try {
    await backend.cleanup();
  } finally {
    await backend.close();
  }
}

/**
 * Removes the rules of every mode.
 * @throws ProxyConfigError that names what stayed
 */
export async function cleanUpAll(deps: CleanupDeps): Promise<void> {
  const settings: TrafficSettings = { nodeName: "", localTraffic: { kind: "none" } };
  const failed: string[] = [];
  for (const mode of availableModes) {
    try {
      await cleanUpMode(mode, settings, deps);
      deps.log.info("Rules are removed", { proxyMode: mode });
    } catch (error) {
      failed.push(`${mode}: ${errorMessage(error)}`);
    }
  }
  if (failed.length) throw new ProxyConfigError(`encountered an error while tearing down rules: ${failed.join("; ")}`);
}
