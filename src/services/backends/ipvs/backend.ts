import { errorMessage, PodwireError } from "#base/errors.ts";
import { type Cidr, cidrContains, type Ip, parseCidr } from "#base/ip.ts";
import type { Logger } from "#base/log.ts";
import { Metrics } from "#base/metrics.ts";
import type { IpvsOperation, ServerKey, VirtualServer } from "#kernel/ipvs/index.ts";
import { keyText, type Nftables, type OriginIndex } from "#kernel/nft/index.ts";
import { addressKey, type Frontend, type ServiceAddress } from "../../model/index.ts";
import type { ServiceBackend, TrafficSettings } from "../backend.ts";
import { nftablesBackend } from "../nftables/index.ts";
import { ServiceAddresses } from "./device.ts";
import { DEFAULT_SCHEDULER, type IpvsNode, type IpvsSettings, prepareNode } from "./node.ts";
import { ipvsForm } from "./rules.ts";
import { ServerTable, wantedServer } from "./servers.ts";

/** The name of the table, in family ip and in family ip6. */
export const IPVS_TABLE = "podwire-ipvs";

/** Between looks at real servers that wait for their last connection, in ms (upstream's rsCheckDeleteInterval). */
const DRAIN_CHECK_MS = 60_000;

/** Settings and dependencies of the ipvs backend. */
export interface IpvsBackendOptions extends TrafficSettings, IpvsSettings {
  /** Where it works. The backend closes it. */
  readonly node: IpvsNode;
  /** nftables of the same network namespace. Stays open when the backend is closed. */
  readonly nft: Nftables;
  readonly log?: Logger;
  readonly metrics?: Metrics;
  /** Between looks at real servers that go, in ms. Default 60,000. */
  readonly drainCheckMs?: number;
}

/**
 * Services as virtual servers of IPVS, with kube-proxy's kube-ipvs0 and, in place of its ipsets and iptables, a table of
 * nftables ({@link ipvsForm} draws it).
 */
export function ipvsBackend(options: IpvsBackendOptions): ServiceBackend {
  return new IpvsBackend(options);
}

class IpvsBackend implements ServiceBackend {
  readonly mode = "ipvs";
  readonly origins: OriginIndex;
  readonly #options: IpvsBackendOptions;
  readonly #scheduler: string;
  readonly #excluded: readonly Cidr[];
  readonly #rules: ServiceBackend;
  readonly #servers = new ServerTable();
  readonly #addresses: ServiceAddresses;
  readonly #services = new Map<string, readonly Frontend[]>();
  readonly #record: ReturnType<typeof serverMetrics>;
  #isPrepared = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: IpvsBackendOptions) {
    const { node, nft, metrics, scheduler, excludeCidrs, nodeName, localTraffic } = options;
    const { masqueradeAll, masqueradeBit } = options;
    this.#options = options;
    this.#scheduler = scheduler || DEFAULT_SCHEDULER;
    this.#excluded = (excludeCidrs ?? []).map((text) => parseCidr(text));
    this.#addresses = new ServiceAddresses(node.rt);
    this.#rules = nftablesBackend({
      ...{ nft, nodeName, localTraffic, tableName: IPVS_TABLE, form: ipvsForm((frontend) => this.#binds(frontend)) },
      ...(metrics && { metrics }),
      ...(masqueradeAll !== undefined && { masqueradeAll }),
      ...(masqueradeBit !== undefined && { masqueradeBit }),
    });
    this.origins = nft.origins;
    this.#record = serverMetrics(metrics ?? new Metrics());
  }

  setNode(): void {}

  setService(service: string, frontends: readonly Frontend[]): void {
    const before = this.#services.get(service) ?? [];
    const kept = new Set(frontends.map(addressKey));
    for (const frontend of frontends) this.#servers.setServer(service, wantedServer(frontend, this.#scheduler));
    for (const frontend of before) if (!kept.has(addressKey(frontend))) this.#servers.removeServer(service, frontend);
    if (frontends.length) this.#services.set(service, frontends);
    else this.#services.delete(service);
    this.#place(service, before, frontends);
  }

  async readBack(): Promise<void> {
    const { node } = this.#options;
    if (!this.#isPrepared) prepareNode(node, this.#options);
    this.#isPrepared = true;
    // An address that another device has got is not ours to hold, and its other ports are the node's.
    if (this.#addresses.readBack())
      for (const [service, frontends] of this.#services) this.#place(service, frontends, frontends);
    const ours = await this.#ours(node.ipvs.servers());
    this.#servers.adopt(ours.map((server) => [server, node.ipvs.realServers(server)] as const));
    await this.#rules.readBack();
  }

  foundAddresses(): Iterable<ServiceAddress> {
    return this.#rules.foundAddresses?.() ?? [];
  }

  /**
   * Addresses go first and come last, so that no packet for one finds nobody; a virtual server goes before its entry in
   * the table, by which a later process knows it for ours.
   */
  async commit(): Promise<void> {
    const { ipvs } = this.#options.node;
    const failures: string[] = [];
    const attempt = (work: () => void) => {
      try {
        work();
      } catch (error) {
        failures.push(errorMessage(error));
      }
    };
    attempt(() => this.#addresses.unbind());
    // What one virtual server is refused for is no reason for the others to wait.
    attempt(() => ipvs.apply(this.#allowed(this.#servers.plan(ipvs))));
    await this.#rules.commit();
    attempt(() => this.#addresses.bind());
    this.#servers.applied();
    this.#record.set(this.#servers.counts());
    this.#watchDraining();
    if (failures.length) throw new PodwireError("IpvsSync", failures.join("; "));
  }

  onForeignChange(listener: (what: string) => void): () => void {
    return this.#rules.onForeignChange?.(listener) ?? (() => {});
  }

  async cleanup(): Promise<void> {
    const { ipvs } = this.#options.node;
    this.#addresses.readBack();
    const ours = await this.#ours(ipvs.servers());
    ipvs.apply(this.#allowed(ours.map((server) => ({ op: "delete-server", server }))));
    this.#addresses.remove();
    await this.#rules.cleanup();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#rules.close();
    this.#options.node.close();
  }

  /** Whether the address is to be on the device. */
  #binds({ kind, ip }: Frontend): boolean {
    return kind !== "NodePort" && !this.#addresses.isOfNode(ip);
  }

  /** Addresses and rules of a Service. */
  #place(service: string, before: readonly Frontend[], frontends: readonly Frontend[]): void {
    const owner = (frontend: Frontend) => `${service} ${addressKey(frontend)}`;
    const kept = new Set<string>();
    for (const frontend of frontends.filter((one) => this.#binds(one))) {
      kept.add(owner(frontend));
      this.#addresses.claim(owner(frontend), frontend.ip);
    }
    for (const frontend of before)
      if (!kept.has(owner(frontend))) this.#addresses.release(owner(frontend), frontend.ip);
    // Load balancers ask for the Service's health at any of its addresses.
    const healthCheckNodePort = frontends.find((one) => one.healthCheckNodePort)?.healthCheckNodePort;
    this.#rules.setService(
      service,
      healthCheckNodePort ? frontends.map((one) => ({ ...one, healthCheckNodePort })) : frontends,
    );
  }

  /**
   * Which virtual servers are ours: wanted ones, those of addresses on kube-ipvs0, and those that the table in the
   * kernel has an entry for, which are NodePorts. Others' are left alone, and so is what excludeCIDRs names.
   */
  async #ours(servers: readonly VirtualServer[]): Promise<VirtualServer[]> {
    const isPlain = (server: VirtualServer) => this.#servers.isWanted(server) || this.#addresses.isBound(server.ip);
    const strange = servers.filter((server) => !isPlain(server));
    const entries = strange.length ? await this.#entries() : new Set<string>();
    return servers.filter((server) => isPlain(server) || entries.has(addressKey(server)));
  }

  /** Keys of the map `services` as it is in the kernel. */
  async #entries(): Promise<ReadonlySet<string>> {
    const keys = new Set<string>();
    for (const family of ["ip", "ip6"] as const) {
      const state = await this.#options.nft.readTable({ family, name: IPVS_TABLE });
      for (const { key } of state?.elements.get("services") ?? []) keys.add(keyText(key));
    }
    return keys;
  }

  /** Virtual servers in excludeCIDRs are never removed (upstream's cleanLegacyService). */
  #allowed(operations: readonly IpvsOperation[]): IpvsOperation[] {
    return operations.filter(({ op, server }) => op !== "delete-server" || !this.#isExcluded(server));
  }

  #isExcluded({ ip }: ServerKey): boolean {
    return this.#excluded.some((cidr) => contains(cidr, ip));
  }

  #watchDraining(): void {
    if (this.#timer || this.#servers.counts().draining === 0) return;
    const { node, log, drainCheckMs = DRAIN_CHECK_MS } = this.#options;
    this.#timer = setInterval(() => {
      try {
        node.ipvs.apply(this.#servers.drained(node.ipvs));
      } catch (error) {
        log?.warn("Try delete rs", { err: errorMessage(error) });
      }
      this.#record.set(this.#servers.counts());
      if (this.#servers.counts().draining) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    }, drainCheckMs).unref();
  }
}

function contains(cidr: Cidr, ip: Ip): boolean {
  return cidr.ip.family === ip.family && cidrContains(cidr, ip);
}

function serverMetrics(metrics: Metrics) {
  const entries = metrics.gauge("podwire_services_ipvs_servers", "Virtual servers of IPVS and their real servers");
  return {
    set({ servers, reals, draining }: ReturnType<ServerTable["counts"]>): void {
      entries.set(servers, { kind: "virtual" });
      entries.set(reals, { kind: "real" });
      entries.set(draining, { kind: "draining" });
    },
  };
}
