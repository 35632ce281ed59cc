import { errorMessage, PodwireError } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { Metrics } from "#base/metrics.ts";
import { type BpfCall, bpfCall, createMap } from "#kernel/bpf/index.ts";
import { type Nftables, type OriginIndex, protocols } from "#kernel/nft/index.ts";
import type { Frontend, NodeView, ServiceAddress } from "../../model/index.ts";
import type { ServiceBackend, TrafficSettings } from "../backend.ts";
import { nftablesBackend } from "../nftables/index.ts";
import { endConnected, namespacesOf } from "./connectedSockets.ts";
import { nodeGroup } from "./group.ts";
import { addressRecord, LIMITS } from "./records.ts";
import { SocketPrograms } from "./socketPrograms.ts";
import { Translations, takesUdpAway, wantedMaps } from "./translations.ts";

/** The name of the rules' table, in family ip and in family ip6. */
export const EBPF_TABLE = "podwire-ebpf";

/** Settings and dependencies of the ebpf backend. */
export interface EbpfBackendOptions extends TrafficSettings {
  /** nftables of the node's network namespace. Stays open when the backend is closed. */
  readonly nft: Nftables;
  readonly log?: Logger;
  readonly metrics?: Metrics;
  /** The folder of the control group whose sockets are the node's and its pods'. Default: {@link nodeGroup}. */
  readonly group?: string;
  /** Files of the network namespaces of the group's sockets. Default: {@link namespacesOf} the group. */
  readonly namespaces?: () => readonly string[];
  /** bpf(2). */
  readonly bpf?: BpfCall;
}

/**
 * Services translated where a socket connects or sends, by programs in the kernel:
 *
 * ```
 * socket of a pod or the node ── connect(10.96.0.1:80) ── program ── connect(10.244.2.7:8080) ── packets, as they are
 * packets from outside ───────── the rules of the nftables mode, which also have what no program translates
 * ```
 */
export function ebpfBackend(options: EbpfBackendOptions): ServiceBackend {
  return new EbpfBackend(options);
}

/**
 * Finds out whether this machine lets this process have the mode. Changes nothing.
 * @throws PodwireError `NoEbpf` with what is missing; `NoControlGroup`
 */
export function checkEbpf(group: () => string = nodeGroup, bpf: BpfCall = bpfCall): void {
  const needs = "it loads programs into the kernel, for which this process has to be root of the machine";
  const capabilities =
    "CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN in the initial user namespace; a lab's nodes have them with podwire up --privileged";
  try {
    const spec = { name: "pw_probe", type: "hash", keySize: 4, valueSize: 4, maxEntries: 1 } as const;
    createMap(bpf, spec).close();
    new SocketPrograms(bpf, group).isAttached();
  } catch (error) {
    if (error instanceof PodwireError) throw error;
    const text = `mode: "ebpf" is not possible: ${needs} (${capabilities}): ${errorMessage(error)}`;
    throw new PodwireError("NoEbpf", text, {}, error);
  }
}

/** Whether programs of the mode are attached; false where this process could not have attached any. */
export function hasEbpfPrograms(group: () => string = nodeGroup, bpf: BpfCall = bpfCall): boolean {
  try {
    return new SocketPrograms(bpf, group).isAttached();
  } catch {
    return false;
  }
}

class EbpfBackend implements ServiceBackend {
  readonly mode = "ebpf";
  readonly origins: OriginIndex;
  readonly #rules: ServiceBackend;
  readonly #translations: Translations;
  readonly #programs: SocketPrograms;
  readonly #log: Logger | undefined;
  readonly #record: ReturnType<typeof mapMetrics>;
  readonly #namespaces: () => readonly string[];
  #told = 0;
  /** Why sockets could not be ended, as it was told last. */
  #complaint: string | undefined;

  constructor({ nft, log, metrics, group, namespaces, bpf = bpfCall, ...settings }: EbpfBackendOptions) {
    this.origins = nft.origins;
    this.#log = log;
    this.#record = mapMetrics(metrics ?? new Metrics());
    this.#rules = nftablesBackend({ ...settings, nft, tableName: EBPF_TABLE, ...(metrics && { metrics }) });
    const { localTraffic, masqueradeAll = false } = settings;
    this.#translations = new Translations({ pods: localTraffic.kind !== "none", masqueradeAll });
    const folder = group === undefined ? nodeGroup : () => group;
    this.#programs = new SocketPrograms(bpf, folder);
    this.#namespaces = namespaces ?? (() => namespacesOf(folder()));
  }

  setNode(node: NodeView): void {
    this.#rules.setNode(node);
  }

  setService(service: string, frontends: readonly Frontend[]): void {
    this.#rules.setService(service, frontends);
    this.#translations.set(service, frontends);
  }

  async readBack(): Promise<void> {
    await this.#rules.readBack();
    this.#translations.adopt(this.#programs.read());
  }

  foundAddresses(): Iterable<ServiceAddress> {
    return this.#rules.foundAddresses?.() ?? [];
  }

  /** The rules first: they serve whatever the programs do not translate yet. */
  async commit(): Promise<void> {
    await this.#rules.commit();
    const changes = this.#translations.pending();
    try {
      this.#programs.apply(changes);
    } catch (error) {
      this.#record.failed();
      throw error;
    }
    this.#translations.applied();
    this.#record.committed(this.#translations);
    this.#tellOfLeft();
    if (takesUdpAway(changes)) this.#endSockets();
  }

  onForeignChange(listener: (what: string) => void): () => void {
    return this.#rules.onForeignChange?.(listener) ?? (() => {});
  }

  async cleanup(): Promise<void> {
    this.#programs.detach();
    await this.#rules.cleanup();
  }

  async close(): Promise<void> {
    this.#programs.close();
    await this.#rules.close();
  }

  /** Connected UDP sockets whose endpoint serves no more: no program is asked about what they send. */
  #endSockets(): void {
    try {
      const ended = endConnected(this.#namespaces(), ({ cookie, peer, port }) => {
        const endpoint = addressRecord(peer, port, protocols.UDP);
        const address = this.#programs.sentTo(cookie, endpoint);
        return address !== undefined && !this.#translations.serves(address, endpoint);
      });
      if (ended) this.#log?.info("UDP sockets were ended whose endpoint is gone", { sockets: ended });
      this.#record.ended(ended);
      this.#complaint = undefined;
    } catch (error) {
      const err = errorMessage(error);
      if (err !== this.#complaint)
        this.#log?.warn("UDP sockets stay connected to endpoints that are gone: they cannot be ended here", { err });
      this.#complaint = err;
    }
  }

  #tellOfLeft(): void {
    const { left } = this.#translations;
    if (left.length > this.#told) {
      const [service] = left.slice(-1);
      const limits = `${LIMITS.services} addresses and ${LIMITS.endpoints} endpoints`;
      this.#log?.warn("Services are left to the rules: the programs' maps have no room", {
        services: left.length,
        service,
        limits,
      });
    }
    this.#told = left.length;
  }
}

function mapMetrics(metrics: Metrics) {
  const failures = metrics.counter(
    "podwire_services_bpf_sync_failures_total",
    "Changes of the programs' maps that failed",
  );
  const stale = metrics.counter(
    "podwire_services_bpf_staleended_total",
    "Connected UDP sockets that were ended, as their endpoint was gone",
  );
  const records = metrics.gauge("podwire_services_bpf_map_records", "Records of the programs' maps");
  return {
    failed: () => failures.inc(),
    ended: (sockets: number) => stale.inc({}, sockets),
    committed(translations: Translations): void {
      for (const map of wantedMaps) records.set(translations.size(map), { map });
    },
  };
}
