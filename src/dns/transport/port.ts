import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import type { Metrics } from "#base/metrics.ts";
import type { Answerer } from "../core/index.ts";
import type { HotPath } from "../hot/hotPath.ts";
import { listenTcp } from "./tcp.ts";
import { type Listener, listenUdp, maxPending } from "./udp.ts";

/** What a port needs. */
export interface PortDeps {
  readonly answerer: Answerer;
  readonly hotPath: HotPath;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Queries a second from which on a thread answers what is known in advance; Infinity: never. */
  readonly startAt: number;
}

/**
 * UDP and TCP on the same port; for port 0 UDP chooses, and another is tried when TCP has that one taken.
 * @throws the bind error (EADDRINUSE, EACCES)
 */
export async function openPort(host: string, port: number, deps: PortDeps): Promise<Listener[]> {
  for (let attempt = 0; ; attempt++) {
    const udp = await listenUdpOrHot(host, port, deps);
    try {
      return [udp, await listenTcp(host, udp.port, deps.answerer)];
    } catch (error) {
      await udp.close();
      if (port !== 0 || attempt >= 10) throw error;
    }
  }
}

/** The hot path's socket; Node's own where system calls are not to be had, or not wished for. */
async function listenUdpOrHot(host: string, port: number, deps: PortDeps): Promise<Listener> {
  const { answerer, hotPath, log, metrics, startAt } = deps;
  if (startAt === Number.POSITIVE_INFINITY) return await listenUdp(host, port, answerer);
  try {
    const [{ listenHotUdp }, datagrams] = await Promise.all([
      import("../hot/hotUdp.ts"),
      import("#kernel/datagrams/index.ts"),
    ]);
    return await listenHotUdp(host, port, { answerer, hotPath, log, metrics, datagrams, startAt, maxPending });
  } catch (error) {
    if (error instanceof Error && "syscall" in error && error.syscall === "bind") throw error;
    log.warn("No hot path: system calls are not to be had", { error: errorMessage(error) });
    return await listenUdp(host, port, answerer);
  }
}
