import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { type Nftables, Transaction } from "#kernel/nft/index.ts";
import type { ProxyMode } from "../backends/index.ts";
import { ProxyConfigError } from "../config/index.ts";
import { availableModes, type BackendSettings, backendOf, mayHaveLeft } from "./modes.ts";

/** What cleaning up needs. */
export interface CleanupDeps {
  readonly nft: Nftables;
  readonly log: Logger;
}

/** Upstream's table of its nftables mode, in each family. Its iptables mode has the chains that ours has. */
const UPSTREAM_TABLE = "kube-proxy";

/**
 * Removes what other modes left on this node, and upstream's own kube-proxy, as well as it can: after ours are there, so
 * that nothing is missed. Nothing more is begun after the signal, when another mode's proxy may follow.
 * @throws the signal's reason
 */
export async function cleanOthers(
  mode: ProxyMode,
  settings: BackendSettings,
  { signal, ...deps }: CleanupDeps & { readonly signal: AbortSignal },
): Promise<void> {
  for (const other of availableModes.filter((name) => name !== mode)) {
    signal.throwIfAborted();
    try {
      if ((await mayHaveLeft(other, deps.nft)) && !signal.aborted) await cleanUpMode(other, settings, deps);
    } catch (error) {
      deps.log.warn("Rules of another mode were not removed", { proxyMode: other, err: errorMessage(error) });
    }
  }
  signal.throwIfAborted();
  try {
    await cleanUpstream(deps);
  } catch (error) {
    deps.log.warn("Rules of upstream's kube-proxy were not removed", { err: errorMessage(error) });
  }
}

/** Removes the tables of upstream's nftables mode, and says so. @throws PodwireError, as the driver's */
export async function cleanUpstream({ nft, log }: CleanupDeps): Promise<void> {
  const isUpstreams = ({ name, family }: { readonly name: string; readonly family: string }) =>
    name === UPSTREAM_TABLE && (family === "ip" || family === "ip6");
  const tables = (await nft.listTables()).filter(isUpstreams);
  if (tables.length === 0) return;
  const transaction = new Transaction();
  for (const table of tables) transaction.deleteTable(table);
  await nft.commit(transaction);
  log.info("Rules of upstream's kube-proxy are removed", { tables: tables.map(({ family }) => family) });
}

async function cleanUpMode(mode: ProxyMode, settings: BackendSettings, { nft, log }: CleanupDeps): Promise<void> {
  // Of what is given no more: the other mode's metrics are not this proxy's.
  const backend = backendOf(mode, settings, { nft, log });
  try {
    await backend.cleanup();
  } finally {
    await backend.close();
  }
}

/**
 * Removes the rules of every mode, and upstream's.
 * @throws ProxyConfigError that names what stayed
 */
export async function cleanUpAll(deps: CleanupDeps): Promise<void> {
  const settings: BackendSettings = {
    nodeName: "",
    localTraffic: { kind: "none" },
    localhostNodePorts: false,
    nodePortsEverywhere: false,
    syncPeriodMs: 0,
    udpIdleTimeoutMs: 0,
  };
  const failed: string[] = [];
  for (const mode of availableModes) {
    try {
      const isThere = await mayHaveLeft(mode, deps.nft);
      if (isThere) await cleanUpMode(mode, settings, deps);
      deps.log.info(isThere ? "Rules are removed" : "There are no rules", { proxyMode: mode });
    } catch (error) {
      failed.push(`${mode}: ${errorMessage(error)}`);
    }
  }
  await cleanUpstream(deps).catch((error: unknown) => failed.push(`upstream's nftables: ${errorMessage(error)}`));
  if (failed.length) throw new ProxyConfigError(`encountered an error while tearing down rules: ${failed.join("; ")}`);
}
