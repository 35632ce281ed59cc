import { DeltaTracker } from "#base/delta.ts";
import {
  type Ipvs,
  type IpvsOperation,
  type RealServer,
  type RealServerState,
  realText,
  type ServerKey,
  serverText,
  type VirtualServer,
} from "#kernel/ipvs/index.ts";
import { protocols } from "#kernel/nft/index.ts";
import type { Frontend, Target } from "../../model/index.ts";

/** A virtual server and those that get its new connections. */
export interface WantedServer {
  readonly server: VirtualServer;
  readonly reals: readonly RealServer[];
  /** Whoever still serves, chosen or not: flows that lead there go on. */
  readonly serving: readonly Target[];
}

/** A real server of a virtual server. */
interface Real {
  readonly server: ServerKey;
  readonly real: RealServer;
}

/** What a Service wants at an address. */
interface Wanted {
  readonly owner: string;
  /** Keys of {@link ServerTable}'s real servers. */
  readonly reals: ReadonlySet<string>;
  readonly serving: readonly Target[];
}

/**
 * The virtual server of a frontend, as kube-proxy's ipvs mode has it: one for each address and port, without real
 * servers where there are no endpoints. It has one list for all clients: with externalTrafficPolicy Local the endpoints
 * on this node, and all of them where this node has none.
 */
export function wantedServer(frontend: Frontend, scheduler: string): WantedServer {
  const { ip, protocol, port, affinitySeconds } = frontend;
  const server = {
    ...{ ip, protocol, port, scheduler },
    ...(affinitySeconds !== undefined && { persistentSeconds: affinitySeconds }),
    // kube-proxy's FlagSourceHash.
    ...(scheduler === "mh" && { hashesPort: true }),
  };
  const reals = targetsOf(frontend).map(({ ip, port }) => ({ ip, port, weight: 1 }));
  return { server, reals, serving: frontend.choice.serving };
}

/** Endpoints that get new connections of a frontend. */
export function targetsOf({ action }: Frontend): readonly Target[] {
  if (action.kind === "balance") return action.targets;
  if (action.kind === "balance-local") return action.local.length ? action.local : action.targets;
  return [];
}

/**
 * Virtual servers and their real servers: what there should be, what there is, and the operations in between.
 *
 * A real server that is wanted no more gets weight 0 and stays for as long as it has connections (kube-proxy's
 * GracefulTerminationManager). UDP and SCTP know no end of a connection that both sides see: theirs stay only where the
 * endpoint still serves. Else the real server goes at once, and by expire_nodest_conn they do as well.
 */
export class ServerTable {
  readonly #servers = new DeltaTracker<string, VirtualServer>(sameServer);
  readonly #reals = new DeltaTracker<string, Real>((a, b) => a.real.weight === b.real.weight);
  readonly #wanted = new Map<string, Wanted>();
  readonly #draining = new Map<string, Real>();

  /** The Service `owner` wants it, in place of what anybody wanted at that address. */
  setServer(owner: string, { server, reals, serving }: WantedServer): void {
    const key = serverText(server);
    this.#servers.setDesired(key, server);
    const texts = new Set<string>();
    for (const real of reals) {
      const text = realKey(server, real);
      texts.add(text);
      this.#reals.setDesired(text, { server, real });
    }
    for (const former of this.#wanted.get(key)?.reals ?? []) if (!texts.has(former)) this.#reals.deleteDesired(former);
    this.#wanted.set(key, { owner, reals: texts, serving });
  }

  /** The Service has no such virtual server any more; it may be another's by now. */
  removeServer(owner: string, server: ServerKey): void {
    const key = serverText(server);
    const wanted = this.#wanted.get(key);
    if (wanted?.owner !== owner) return;
    this.#wanted.delete(key);
    this.#servers.deleteDesired(key);
    for (const real of wanted.reals) this.#reals.deleteDesired(real);
  }

  isWanted(server: ServerKey): boolean {
    return this.#wanted.has(serverText(server));
  }

  /** Takes what is in the kernel as the truth. */
  adopt(found: readonly (readonly [VirtualServer, readonly RealServer[]])[]): void {
    this.#draining.clear();
    this.#servers.replaceActual(found.map(([server]) => [serverText(server), server] as const));
    this.#reals.replaceActual(
      found.flatMap(([server, reals]) =>
        reals.map(({ ip, port, weight }) => {
          const real = { ip, port, weight };
          return [realKey(server, real), { server, real }] as const;
        }),
      ),
    );
  }

  /** What makes the kernel's state the wanted one: nothing goes before what takes its place is there. */
  plan(ipvs: Pick<Ipvs, "realServers">): IpvsOperation[] {
    const servers = this.#servers.pending();
    const reals = this.#reals.pending();
    const leaving = new Set(servers.remove.map(([key]) => key));
    for (const [key, { server }] of this.#draining) if (leaving.has(serverText(server))) this.#draining.delete(key);
    const ended = [...this.#draining].filter(([, one]) => !this.#mayDrain(one));
    for (const [key] of ended) this.#draining.delete(key);
    return [
      ...servers.add.map(([, server]) => ({ op: "add-server" as const, server })),
      ...servers.change.map(([, server]) => ({ op: "set-server" as const, server })),
      ...reals.add.map(([key, one]) => ({ op: this.#draining.delete(key) ? "set-real" : "add-real", ...one }) as const),
      ...reals.change.map(([, one]) => ({ op: "set-real" as const, ...one })),
      ...ended.map(([, one]) => ({ op: "delete-real" as const, ...one })),
      ...this.#removals(
        ipvs,
        reals.remove.filter(([, { server }]) => !leaving.has(serverText(server))).map(([, one]) => one),
      ),
      ...servers.remove.map(([, server]) => ({ op: "delete-server" as const, server })),
    ];
  }

  /** The planned operations are in the kernel. */
  applied(): void {
    this.#servers.applied();
    this.#reals.applied();
  }

  /** What of those that go has no connections any more. */
  drained(ipvs: Pick<Ipvs, "realServers">): IpvsOperation[] {
    const states = cachedStates(ipvs);
    return [...this.#draining].flatMap(([key, one]) => {
      const state = states(one.server).get(realText(one.real));
      if (state && isBusy(state)) return [];
      this.#draining.delete(key);
      return state ? [{ op: "delete-real" as const, ...one }] : [];
    });
  }

  /** Numbers of wanted virtual and real servers, and of those that wait for their last connection. */
  counts(): { readonly servers: number; readonly reals: number; readonly draining: number } {
    return { servers: this.#servers.desired.size, reals: this.#reals.desired.size, draining: this.#draining.size };
  }

  /** Whether its connections are let to their end. */
  #mayDrain({ server, real }: Real): boolean {
    if (server.protocol === protocols.TCP) return true;
    const text = realText(real);
    return this.#wanted.get(serverText(server))?.serving.some((target) => realText(target) === text) ?? false;
  }

  #removals(ipvs: Pick<Ipvs, "realServers">, going: readonly Real[]): IpvsOperation[] {
    const states = cachedStates(ipvs);
    return going.flatMap((one): IpvsOperation[] => {
      const state = this.#mayDrain(one) ? states(one.server).get(realText(one.real)) : undefined;
      if (!state || !isBusy(state)) return [{ op: "delete-real", ...one }];
      const quiet = { server: one.server, real: { ...one.real, weight: 0 } };
      this.#draining.set(realKey(one.server, one.real), quiet);
      return state.weight === 0 ? [] : [{ op: "set-real", ...quiet }];
    });
  }
}

function realKey(server: ServerKey, real: RealServer): string {
  return `${serverText(server)} ${realText(real)}`;
}

function sameServer(a: VirtualServer, b: VirtualServer): boolean {
  return (
    a.scheduler === b.scheduler &&
    a.persistentSeconds === b.persistentSeconds &&
    Boolean(a.hashesPort) === Boolean(b.hashesPort)
  );
}

function isBusy({ activeConnections, inactiveConnections }: RealServerState): boolean {
  return activeConnections + inactiveConnections > 0;
}

/** The real servers of a virtual one by their text, asked for once; none when there is no such virtual server. */
function cachedStates(ipvs: Pick<Ipvs, "realServers">): (server: ServerKey) => ReadonlyMap<string, RealServerState> {
  const cache = new Map<string, ReadonlyMap<string, RealServerState>>();
  return (server) => {
    const key = serverText(server);
    const found = cache.get(key) ?? new Map(ipvs.realServers(server).map((state) => [realText(state), state]));
    cache.set(key, found);
    return found;
  };
}
