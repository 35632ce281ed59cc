import { NetlinkError, type NetlinkFailure } from "#kernel/netlink/index.ts";
import {
  describeIpvs,
  type Ipvs,
  type IpvsOperation,
  type IpvsTimeouts,
  type RealServer,
  type RealServerState,
  realText,
  type ServerKey,
  serverText,
  type VirtualServer,
} from "./model.ts";

/** Refusals as the kernel has them (net/netfilter/ipvs/ip_vs_ctl.c). */
const ERRNO = { ENOENT: 2, ESRCH: 3, EEXIST: 17 } as const;

interface Entry {
  server: VirtualServer;
  readonly reals: Map<string, RealServerState>;
}

/** IPVS in memory, refusing what the kernel refuses. */
export class FakeIpvs implements Ipvs {
  readonly #entries = new Map<string, Entry>();
  /** All operations that took effect, oldest first, as text. */
  readonly log: string[] = [];
  timeouts: IpvsTimeouts | undefined;

  servers(): VirtualServer[] {
    return [...this.#entries.values()].map(({ server }) => server);
  }

  realServers(server: ServerKey): RealServerState[] {
    return [...(this.#entries.get(serverText(server))?.reals.values() ?? [])];
  }

  apply(operations: readonly IpvsOperation[]): void {
    const failures: NetlinkFailure[] = [];
    for (const [index, operation] of operations.entries()) {
      const errno = "real" in operation ? this.#applyReal(operation) : this.#applyServer(operation);
      if (errno) failures.push({ index, errno, reason: "" });
      else this.log.push(describeIpvs(operation));
    }
    const [first, ...rest] = failures;
    if (first) throw new NetlinkError([first, ...rest], (index) => describeIpvs(operations[index] as IpvsOperation));
  }

  setTimeouts(timeouts: IpvsTimeouts): void {
    this.timeouts = timeouts;
  }

  /** Connections, as packets would make them. */
  connect(server: ServerKey, real: Pick<RealServer, "ip" | "port">, active: number, inactive = 0): void {
    const reals = this.#entries.get(serverText(server))?.reals;
    const state = reals?.get(realText(real));
    if (!state) throw new Error(`no ${realText(real)} in ${serverText(server)}`);
    reals?.set(realText(real), { ...state, activeConnections: active, inactiveConnections: inactive });
  }

  close(): void {}

  #applyServer(operation: Exclude<IpvsOperation, { readonly real: RealServer }>): number {
    const key = serverText(operation.server);
    const entry = this.#entries.get(key);
    if (operation.op === "add-server") {
      if (entry) return ERRNO.EEXIST;
      this.#entries.set(key, { server: operation.server, reals: new Map() });
      return 0;
    }
    if (!entry) return ERRNO.ESRCH;
    if (operation.op === "set-server") entry.server = operation.server;
    else this.#entries.delete(key);
    return 0;
  }

  #applyReal({ op, server, real }: Extract<IpvsOperation, { readonly real: RealServer }>): number {
    const reals = this.#entries.get(serverText(server))?.reals;
    if (!reals) return ERRNO.ESRCH;
    const key = realText(real);
    const held = reals.get(key);
    if (op === "add-real" && held) return ERRNO.EEXIST;
    if (op !== "add-real" && !held) return ERRNO.ENOENT;
    if (op === "delete-real") reals.delete(key);
    else reals.set(key, { activeConnections: 0, inactiveConnections: 0, ...held, ...real });
    return 0;
  }
}
