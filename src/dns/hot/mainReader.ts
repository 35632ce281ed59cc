import { maxMessageBytes } from "#wire/dns/index.ts";
import type { Peer, ReadyAnswers } from "../core/index.ts";
import { HotCounters, maxZones } from "./counters.ts";
import type { HotMemory } from "./layout.ts";
import { tcpLimits, udpLimits } from "./limits.ts";
import { HotReader } from "./reader.ts";

/**
 * Reads the table on the thread that writes it, between two writes: for TCP, and for UDP as long as or where there is no
 * thread for it.
 */
export class MainReader implements ReadyAnswers {
  /** What was answered, by protocol. */
  readonly counters: readonly HotCounters[];
  readonly #udp: HotReader;
  readonly #tcp: HotReader;
  readonly #memory = new Uint8Array(maxMessageBytes);

  readonly #clock: () => number;

  /** @param seed start of the order of shuffled records; `clock` that of the tables */
  constructor(seed: number, clock: () => number) {
    this.#clock = clock;
    const [udp, tcp] = [HotCounters.forZones(maxZones, "udp"), HotCounters.forZones(maxZones, "tcp")];
    this.counters = [udp, tcp];
    this.#udp = new HotReader(udp, seed);
    this.#tcp = new HotReader(tcp, seed);
  }

  /** Reads from this memory from now on. */
  use({ fixed, cached }: HotMemory): void {
    this.#udp.use(fixed, cached);
    this.#tcp.use(fixed, cached);
  }

  answer(packet: Uint8Array, peer: Peer): Uint8Array | undefined {
    if (packet.length > this.#memory.length) return undefined;
    const length = this.write(packet, peer, this.#memory, 0);
    return length > 0 ? this.#memory.slice(0, length) : undefined;
  }

  write(packet: Uint8Array, { protocol, address }: Peer, to: Uint8Array, at: number): number {
    to.set(packet, at);
    const [reader, limits] = protocol === "tcp" ? [this.#tcp, tcpLimits] : [this.#udp, udpLimits];
    reader.now = this.#clock();
    const asked = address.includes(":") ? limits.ipv6 : limits.ipv4;
    return Math.max(0, reader.answer(to, at, packet.length, asked));
  }
}
