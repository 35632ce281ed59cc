import { AF, check, isErrno, libc, SOCK } from "#kernel/ffi/index.ts";
import { encodeMessage, query } from "#wire/dns/index.ts";

const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;

/** A client that waits for each answer, with a system call for each packet and nothing between them. */
export class Prober {
  readonly #fd: number;
  readonly #answer = new Uint8Array(4096);

  /** @param waitMs longest wait for an answer */
  constructor(port: number, waitMs = 1000) {
    this.#fd = check(libc.socket(AF.INET, SOCK.DGRAM | SOCK.CLOEXEC, 0), "socket");
    const address = Buffer.alloc(16);
    address.writeUInt16LE(AF.INET, 0);
    address.writeUInt16BE(port, 2);
    address.set([127, 0, 0, 1], 4);
    const time = Buffer.alloc(16); // struct timeval
    time.writeBigInt64LE(BigInt(Math.floor(waitMs / 1000)), 0);
    time.writeBigInt64LE(BigInt((waitMs % 1000) * 1000), 8);
    check(libc.setsockopt(this.#fd, SOL_SOCKET, SO_RCVTIMEO, time, 16), "setsockopt");
    check(libc.connect(this.#fd, address, 16), "connect");
  }

  /** Asks for the A record; the answer's bytes, or undefined when none came. */
  ask(packet: Uint8Array): Uint8Array | undefined {
    try {
      check(libc.send(this.#fd, packet, packet.length, 0), "send");
      const length = check(libc.recv(this.#fd, this.#answer, this.#answer.length, 0), "recv");
      return this.#answer.subarray(0, length);
    } catch (error) {
      if (isErrno(error, "EAGAIN") || isErrno(error, "ECONNREFUSED")) return undefined;
      throw error;
    }
  }

  close(): void {
    libc.close(this.#fd);
  }
}

/** A query for the A record of a name. */
export function questionOf(name: string): Uint8Array {
  return encodeMessage(query(1, { name, type: 1, class: 1 }));
}

/** Whether a server has addresses of the name. */
export function ask(port: number, name: string, waitMs: number): boolean {
  const prober = new Prober(port, waitMs);
  try {
    const answer = prober.ask(questionOf(name));
    return answer !== undefined && ((answer[6] as number) << 8) + (answer[7] as number) > 0;
  } finally {
    prober.close();
  }
}

/** Microseconds of each of so many questions, one after the other. */
export function roundTrips(port: number, name: string, count: number): number[] {
  const prober = new Prober(port);
  const packet = questionOf(name);
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const began = process.hrtime.bigint();
    prober.ask(packet);
    times.push(Number(process.hrtime.bigint() - began) / 1000);
  }
  prober.close();
  return times;
}

/** The value below which that share of the values lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
