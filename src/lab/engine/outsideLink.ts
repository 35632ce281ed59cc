import type { Socket as DatagramSocket } from "node:dgram";
import type { Socket } from "node:net";
import type { FromEngine, OutsideAnswer, OutsideRequest } from "./protocol.ts";

/** Requests that may wait at the same time; more are refused. */
const MAX_WAITING = 1024;

/** The engine's end of the way outside: asks the parent, and gets sockets of the host's network. */
export class OutsideLink {
  readonly #report: (message: FromEngine) => void;
  readonly #waiting = new Map<number, (answer: OutsideAnswer, handle: unknown) => void>();
  #nextId = 1;

  constructor(report: (message: FromEngine) => void) {
    this.#report = report;
  }

  /** The parent has answered. @param handle the socket that came with it */
  answer(id: number, answer: OutsideAnswer, handle: unknown): void {
    this.#waiting.get(id)?.(answer, handle);
    this.#waiting.delete(id);
  }

  /** A connection outside. @throws Error with code ECONNREFUSED, ETIMEDOUT, … */
  async connect(address: string, port: number): Promise<Socket> {
    return (await this.#ask({ what: "tcp", address, port })).handle as Socket;
  }

  /** A UDP socket of the host's network, to be connected to a peer. @throws Error with code EMFILE, … */
  async datagrams(family: "udp4" | "udp6"): Promise<DatagramSocket> {
    return (await this.#ask({ what: "udp", family })).handle as DatagramSocket;
  }

  /** What the host's name servers answer. @throws Error with code ETIMEDOUT, … */
  async resolve(query: Buffer, transport: "udp" | "tcp"): Promise<Buffer> {
    const { reply = "" } = await this.#ask({ what: "dns", transport, query: query.toString("base64") });
    return Buffer.from(reply, "base64");
  }

  #ask(request: OutsideRequest): Promise<{ readonly reply?: string; readonly handle: unknown }> {
    if (this.#waiting.size >= MAX_WAITING) return Promise.reject(refused("EAGAIN"));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, (answer, handle) => {
        if (answer.ok) resolve({ ...answer, handle });
        else reject(refused(answer.code));
      });
      this.#report({ type: "outside", id, request });
    });
  }
}

function refused(code: string): Error {
  return Object.assign(new Error(`the outside cannot be reached: ${code}`), { code });
}
