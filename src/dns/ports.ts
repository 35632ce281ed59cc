import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { Metrics } from "#base/metrics.ts";
import type { Answerer, TcpTimeouts } from "./core/index.ts";
import type { HotPath } from "./hot/hotPath.ts";
import { listenTcp, type TcpLimits, tcpLimits } from "./transport/tcp.ts";
import { droppedCounter, type Listener, listenUdp } from "./transport/udp.ts";

/** What a port is opened with. */
export interface PortParts {
  readonly answerer: Answerer;
  readonly hotPath: HotPath;
  readonly timeouts: TcpTimeouts;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Queries a second from which the hot path has a thread of its own; infinite: no hot path. */
  readonly startAt: number;
}

/**
 * UDP and TCP on the same port; for port 0 UDP chooses, and another is tried when TCP has that one taken.
 * @param host "" for all addresses
 * @throws the bind error
 */
export async function openPort(host: string, port: number, parts: PortParts): Promise<Listener[]> {
  for (let attempt = 0; ; attempt++) {
    const udp = await openUdp(host, port, parts);
    try {
      return [udp, await listenTcp(host, udp.port, parts.answerer, limitsOf(parts.timeouts))];
    } catch (error) {
      await udp.close();
      if (port !== 0 || attempt >= 10) throw error;
    }
  }
}

function limitsOf({ readMs, writeMs, idleMs }: TcpTimeouts): TcpLimits {
  return {
    ...tcpLimits,
    ...(readMs !== undefined && { messageMs: readMs }),
    ...(idleMs !== undefined && { idleMs }),
    ...(writeMs !== undefined && { writeMs }),
  };
}

/** The hot path's socket; Node's own where system calls are not to be had, or not wished for. */
async function openUdp(host: string, port: number, parts: PortParts): Promise<Listener> {
  const { answerer, hotPath, log, metrics, startAt } = parts;
  const dropped = () => droppedCounter(metrics).inc();
  if (startAt === Number.POSITIVE_INFINITY) return await listenUdp(host, port, answerer, dropped);
  try {
    const [{ listenHotUdp }, datagrams] = await Promise.all([
      import("./hot/hotUdp.ts"),
      import("#kernel/datagrams/index.ts"),
    ]);
    return await listenHotUdp(host, port, { answerer, hotPath, log, metrics, datagrams, startAt });
  } catch (error) {
    if (error instanceof Error && "syscall" in error && error.syscall === "bind") throw error;
    log.warn("No hot path: system calls are not to be had", { error: errorMessage(error) });
    return await listenUdp(host, port, answerer, dropped);
  }
}
