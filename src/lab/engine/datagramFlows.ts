import { createSocket, type Socket } from "node:dgram";
import { closeSync } from "node:fs";
import { connectDatagrams } from "#base/datagrams.ts";
import {
  type Endpoint,
  impersonatingUdp,
  type Netns,
  receiveStray,
  type StrayDatagram,
} from "#kernel/namespaces/index.ts";
import type { PollWatcher } from "#kernel/process/index.ts";
import type { OutsideLink } from "./outsideLink.ts";

/** A flow that is silent for so long is over, in ms: as long as conntrack keeps one with answers. */
const IDLE_MS = 120_000;
const SWEEP_MS = 10_000;
/** More flows than this push out the one that was silent longest. */
const MAX_FLOWS = 1024;
/** Datagrams that wait for a flow's socket. */
const MAX_EARLY = 16;
/** Datagrams that are taken at one go. */
const BATCH = 64;

interface Flow {
  readonly early: Buffer[];
  lastMs: number;
  close(): void;
}

/** Carries UDP outside: for each pair of endpoints one socket towards the machine and one in the host's network. */
export class DatagramFlows {
  readonly #netns: Netns;
  readonly #link: OutsideLink;
  readonly #flows = new Map<string, Flow>();
  readonly #timer = setInterval(() => this.#sweep(), SWEEP_MS);

  constructor(netns: Netns, link: OutsideLink) {
    this.#netns = netns;
    this.#link = link;
    this.#timer.unref();
  }

  /** Takes the first datagrams of flows out of a socket, whenever there are any. @returns a function that ends it */
  serve(fd: number, poll: PollWatcher): () => void {
    poll.watch(fd, () => {
      for (let i = 0; i < BATCH; i++) {
        const stray = receiveStray(fd);
        if (!stray) break;
        this.#take(stray);
      }
      return true;
    });
    return () => {
      poll.unwatch(fd);
      closeSync(fd);
    };
  }

  #take({ data, from, to }: StrayDatagram): void {
    const key = `${from.address} ${from.port} ${to.address} ${to.port}`;
    const known = this.#flows.get(key);
    if (known) {
      if (known.early.length < MAX_EARLY) known.early.push(data);
      return;
    }
    if (this.#flows.size >= MAX_FLOWS) this.#evict();
    const flow: Flow = { early: [data], lastMs: performance.now(), close: () => this.#flows.delete(key) };
    this.#flows.set(key, flow);
    // No way there, or no socket to be had: to whoever sends, it is lost.
    this.#open(flow, from, to).catch(() => flow.close());
  }

  async #open(flow: Flow, from: Endpoint, to: Endpoint): Promise<void> {
    const type = to.address.includes(":") ? "udp6" : "udp4";
    const outer = await this.#link.datagrams(type);
    const inner = createSocket(type);
    const forget = flow.close;
    flow.close = () => {
      forget();
      flow.close = () => {};
      inner.close();
      outer.close();
    };
    const carry = (source: Socket, sink: Socket): void => {
      source.on("message", (data) => {
        flow.lastMs = performance.now();
        sink.send(data, () => {});
      });
      // A port that nobody has outside, and the like: the flow is over.
      source.on("error", () => flow.close());
    };
    inner.bind({ fd: impersonatingUdp(this.#netns, to) });
    await Promise.all([connectDatagrams(inner, from.port, from.address), connectDatagrams(outer, to.port, to.address)]);
    carry(inner, outer);
    carry(outer, inner);
    for (const data of flow.early.splice(0)) outer.send(data, () => {});
  }

  #evict(): void {
    let oldest: Flow | undefined;
    for (const flow of this.#flows.values()) if (!oldest || flow.lastMs < oldest.lastMs) oldest = flow;
    oldest?.close();
  }

  #sweep(): void {
    const before = performance.now() - IDLE_MS;
    for (const flow of [...this.#flows.values()]) if (flow.lastMs < before) flow.close();
  }

  /** Ends all flows. */
  stop(): void {
    clearInterval(this.#timer);
    for (const flow of [...this.#flows.values()]) flow.close();
  }
}
