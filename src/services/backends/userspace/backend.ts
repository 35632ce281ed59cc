import type { Socket } from "node:net";
import { errorMessage, PodwireError } from "#base/errors.ts";
import { formatIp, type Ip, isLoopback } from "#base/ip.ts";
import type { Logger } from "#base/log.ts";
import type { Metrics } from "#base/metrics.ts";
import type { SocketPlace } from "#kernel/namespaces/index.ts";
import { type Nftables, type OriginIndex, protocols } from "#kernel/nft/index.ts";
import type { Frontend, NodeView, ServiceAddress, Target } from "../../model/index.ts";
import type { ServiceBackend, TrafficSettings } from "../backend.ts";
import { nftablesBackend } from "../nftables/index.ts";
import { Complaints } from "./complaints.ts";
import { isRelayed, type Portal, portalsOf, redirected } from "./portals.ts";
import type { ProxyPort, RelaySettings } from "./proxyPort.ts";
import { tcpPort } from "./tcpPort.ts";
import { udpPort } from "./udpPort.ts";

/** The name of the table, in family ip and in family ip6. */
export const USERSPACE_TABLE = "podwire-userspace";

/** Settings and dependencies of the userspace backend. */
export interface UserspaceBackendOptions extends TrafficSettings, RelaySettings {
  /** nftables of the node's network namespace. Stays open when the backend is closed. */
  readonly nft: Nftables;
  /** The node's network namespace, where sockets are made. Default: this process's. */
  readonly netns?: SocketPlace;
  readonly log?: Logger;
  readonly metrics?: Metrics;
}

/**
 * Services relayed by this process, as by kube-proxy before its rules led to endpoints themselves:
 *
 * ```
 * client ──> 10.96.0.1:80 ──rules──> node:41873, a socket of this process ──> endpoint in turn
 * ```
 * The rules are those of the nftables mode, in a table of their own, for Services whose only endpoint is the proxy port.
 */
export function userspaceBackend(options: UserspaceBackendOptions): ServiceBackend {
  return new UserspaceBackend(options);
}

/** A served portal. */
interface Served {
  readonly ip: Ip;
  readonly proxy: ProxyPort;
}

class UserspaceBackend implements ServiceBackend {
  readonly mode = "userspace";
  readonly origins: OriginIndex;
  readonly #options: UserspaceBackendOptions;
  readonly #rules: ServiceBackend;
  readonly #complaints: Complaints;
  readonly #services = new Map<string, readonly Frontend[]>();
  /** What was set and is not in {@link #rules} yet, in its order: no address may be two Services' in between. */
  #waiting: (readonly [service: string, frontends: readonly Frontend[]])[] = [];
  /** The keys of each Service's portals. */
  readonly #portals = new Map<string, ReadonlySet<string>>();
  readonly #served = new Map<string, Served>();
  /** Ports that the rules in the kernel may still lead to. */
  readonly #leaving = new Set<ProxyPort>();
  /** What is relayed, both halves; by ports that are closed too. */
  readonly #sockets = new Set<Socket>();
  #addresses: Partial<Record<4 | 6, Ip>> = {};

  constructor(options: UserspaceBackendOptions) {
    this.#options = options;
    const { nft, metrics, nodeName, localTraffic, masqueradeAll, masqueradeBit } = options;
    this.#rules = nftablesBackend({
      ...{ nft, nodeName, localTraffic, tableName: USERSPACE_TABLE },
      ...(metrics && { metrics }),
      ...(masqueradeAll !== undefined && { masqueradeAll }),
      ...(masqueradeBit !== undefined && { masqueradeBit }),
    });
    this.origins = nft.origins;
    this.#complaints = new Complaints(options.log);
  }

  setNode(node: NodeView): void {
    const before = this.#addresses;
    this.#addresses = { ...listenAddress(node, 4), ...listenAddress(node, 6) };
    const moved = ([4, 6] as const).some((family) => text(before[family]) !== text(this.#addresses[family]));
    if (moved) this.#waiting.push(...this.#services);
    this.#rules.setNode(node);
  }

  setService(service: string, frontends: readonly Frontend[]): void {
    this.#waiting.push([service, frontends]);
    if (frontends.length) this.#services.set(service, frontends);
    else this.#services.delete(service);
  }

  flowTargets(frontend: Frontend): readonly Target[] {
    return redirected(frontend, this.#at).choice.serving;
  }

  readBack(): Promise<void> {
    return this.#rules.readBack();
  }

  foundAddresses(): Iterable<ServiceAddress> {
    return this.#rules.foundAddresses?.() ?? [];
  }

  async commit(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    const failures: string[] = [];
    // The sockets are there before the rules that lead to them, and go after those.
    for (const service of new Set(waiting.map(([name]) => name))) {
      const failure = this.#serve(service);
      if (failure === undefined) continue;
      failures.push(failure);
      this.#waiting.push([service, this.#services.get(service) ?? []]);
    }
    for (const [service, frontends] of waiting) {
      const rules = frontends.map((frontend) => redirected(frontend, this.#at));
      this.#rules.setService(service, rules);
    }
    await this.#rules.commit();
    this.#stopLeaving();
    const [first] = failures;
    const others = failures.length > 1 ? `; and ${failures.length - 1} more` : "";
    if (first !== undefined) throw new PodwireError("ProxyPorts", `Failed to start proxy for ${first}${others}`);
  }

  onForeignChange(listener: (what: string) => void): () => void {
    return this.#rules.onForeignChange?.(listener) ?? (() => {});
  }

  cleanup(): Promise<void> {
    return this.#rules.cleanup();
  }

  async close(): Promise<void> {
    for (const key of [...this.#served.keys()]) this.#retire(key);
    this.#stopLeaving();
    for (const socket of this.#sockets) socket.destroy();
    await this.#rules.close();
  }

  readonly #at = (key: string): { ip: Ip; port: number } | undefined => {
    const served = this.#served.get(key);
    return served && { ip: served.ip, port: served.proxy.port };
  };

  /** Opens and updates the ports that a Service needs, and marks those that it needs no more. @returns what failed */
  #serve(service: string): string | undefined {
    const frontends = this.#services.get(service) ?? [];
    const portals = portalsOf(frontends);
    const before = this.#portals.get(service);
    for (const key of before ?? []) if (!portals.has(key)) this.#retire(key);
    if (portals.size) this.#portals.set(service, new Set(portals.keys()));
    else this.#portals.delete(service);
    const left = frontends.find((frontend) => !isRelayed(frontend));
    if (left && !before) this.#complaints.say("SCTP is not supported for user space proxy", { service: left.label });
    const failures: string[] = [];
    for (const portal of portals.values()) {
      try {
        this.#servePortal(portal);
      } catch (error) {
        failures.push(`${portal.label}: ${errorMessage(error)}`);
      }
    }
    return failures[0];
  }

  /** @throws SysError when the socket cannot be had */
  #servePortal(portal: Portal): void {
    const { log, netns: place, dialTimeoutsMs, udpIdleTimeoutMs, ports } = this.#options;
    const { key, label, family, protocol } = portal;
    const ip = this.#addresses[family];
    const served = this.#served.get(key);
    if (served && text(served.ip) === text(ip)) return served.proxy.update(portal);
    if (served) this.#retire(key);
    if (!ip) {
      const err = `the node has no IPv${family} address to listen at`;
      return this.#complaints.say("Failed to start proxy for service", { service: label, err });
    }
    const make = protocol === protocols.TCP ? tcpPort : udpPort;
    const proxy = make(portal, {
      ...{ place, address: formatIp(ip), sockets: this.#sockets, complaints: this.#complaints, log },
      ...(dialTimeoutsMs && { dialTimeoutsMs }),
      ...(udpIdleTimeoutMs !== undefined && { udpIdleTimeoutMs }),
      ...(ports && { ports }),
    });
    this.#served.set(key, { ip, proxy });
    log?.debug("Proxying for service", { service: label, protocol: protocolName(protocol), portNum: proxy.port });
  }

  #stopLeaving(): void {
    for (const proxy of this.#leaving) proxy.stop();
    this.#leaving.clear();
  }

  /** The rules lead to it until the next commit is done. */
  #retire(key: string): void {
    const served = this.#served.get(key);
    if (served) this.#leaving.add(served.proxy);
    this.#served.delete(key);
  }
}

/** Where proxy ports of a family listen: the node's first address that others can reach, else a loopback one. */
function listenAddress({ addresses }: NodeView, family: 4 | 6): Partial<Record<4 | 6, Ip>> {
  const own = addresses.filter((ip) => ip.family === family);
  const ip = own.find((one) => !isLoopback(formatIp(one))) ?? own[0];
  return ip ? { [family]: ip } : {};
}

function text(ip: Ip | undefined): string {
  return ip ? formatIp(ip) : "";
}

function protocolName(protocol: number): string {
  return protocol === protocols.TCP ? "TCP" : "UDP";
}
