import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { Resolver } from "node:dns";
import { connect, isIP, type Socket } from "node:net";
import { connectDatagrams } from "#base/datagrams.ts";
import { errorMessage } from "#base/errors.ts";
import { type Cidr, cidrContains, parseCidr, parseIp } from "#base/ip.ts";
import type { Logger } from "#base/log.ts";
import type { ClusterConfig } from "#lab/config/index.ts";
import { frame, type OutsideAnswer, type OutsideRequest } from "#lab/engine/index.ts";
import type { EngineLink } from "./engineLink.ts";

/** How long a connection outside may take to come about, in ms: what a kernel tries with three SYNs. */
const CONNECT_MS = 20_000;
/** How long one name server is waited for, in ms; clients wait 5 s for an answer. */
const NAME_SERVER_MS = 2_000;
/** Largest DNS message (RFC 1035 section 4.2.2). */
const MAX_MESSAGE = 65_535;
const DNS_PORT = 53;
/** Never outside: this host itself, link-local addresses (clouds keep credentials there), multicast. */
const NEVER = [
  "0.0.0.0/8",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "224.0.0.0/3",
  "::/127",
  "::ffff:0:0/96",
  "fe80::/10",
  "ff00::/8",
];

/** What goes back to the engine: the answer, with a socket for a connection. */
export interface OutsideReply {
  readonly answer: OutsideAnswer;
  readonly socket?: Socket | DatagramSocket;
}

/** The lab's way outside: connections and questions that the engine asks for, made in the host's network. */
export class Outside {
  readonly #never: readonly Cidr[];

  /** @param inside the cluster's own networks, which are nobody's outside */
  constructor(inside: readonly string[]) {
    this.#never = [...NEVER, ...inside].map(parseCidr);
  }

  /** Does what the engine asks for; a failure is an answer too. */
  async handle(request: OutsideRequest): Promise<OutsideReply> {
    try {
      if (request.what === "dns") {
        const reply = await resolve(Buffer.from(request.query, "base64"), request.transport);
        return { answer: { ok: true, reply: reply.toString("base64") } };
      }
      if (request.what === "udp") return { answer: { ok: true }, socket: await freeDatagrams(request.family) };
      this.#check(request.address);
      return { answer: { ok: true }, socket: await openConnection(request.address, request.port) };
    } catch (error) {
      return { answer: { ok: false, code: (error as NodeJS.ErrnoException).code ?? "EIO" } };
    }
  }

  #check(address: string): void {
    const ip = parseIp(address);
    if (this.#never.some((cidr) => cidrContains(cidr, ip)))
      throw Object.assign(new Error(`${address} is not outside`), { code: "EACCES" });
  }
}

/** Answers what the engine asks of the outside. */
export function serveOutside(engine: EngineLink, config: ClusterConfig, log: Logger): void {
  const outside = new Outside([...config.podCidrs, ...config.serviceCidrs, ...config.nodeCidrs]);
  engine.on("outside", (id, request) => {
    void outside
      .handle(request)
      .then((reply) => engine.answerOutside(id, reply))
      .catch((error: unknown) => log.debug("The engine took no answer", { error: errorMessage(error) }));
  });
}

/** A connection of which nothing has been read: what comes early is the new owner's. */
function openConnection(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true });
    socket.pause();
    const timer = setTimeout(() => socket.destroy(failure("ETIMEDOUT")), CONNECT_MS);
    socket.once("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    socket.once("connect", () => {
      clearTimeout(timer);
      resolve(socket);
    });
  });
}

function freeDatagrams(family: "udp4" | "udp6"): Promise<DatagramSocket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(family);
    socket.once("error", (error) => {
      socket.close();
      reject(error);
    });
    socket.bind(0, () => resolve(socket));
  });
}

async function openDatagrams(host: string, port: number): Promise<DatagramSocket> {
  const socket = createSocket(isIP(host) === 6 ? "udp6" : "udp4");
  try {
    await connectDatagrams(socket, port, host);
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

/** Asks the host's name servers, one after the other. @throws Error of the last one */
async function resolve(query: Buffer, transport: "udp" | "tcp"): Promise<Buffer> {
  let last: unknown = failure("ENOENT");
  // Read anew each time: a laptop changes its network.
  for (const server of new Resolver().getServers()) {
    try {
      const [address, port] = serverAddress(server);
      return await (transport === "udp" ? askByUdp : askByTcp)(query, address, port);
    } catch (error) {
      last = error;
    }
  }
  throw last;
}

/** `10.0.0.1`, `10.0.0.1:5353`, `[fd00::1]:5353`, as node:dns lists servers. */
function serverAddress(text: string): [address: string, port: number] {
  if (isIP(text)) return [text, DNS_PORT];
  const at = text.lastIndexOf(":");
  return [text.slice(0, at).replace(/^\[|\]$/g, ""), Number(text.slice(at + 1))];
}

async function askByUdp(query: Buffer, address: string, port: number): Promise<Buffer> {
  const socket = await openDatagrams(address, port);
  try {
    return await new Promise<Buffer>((resolve, reject) => {
      socket.once("error", reject);
      socket.on("message", (answer) => {
        if (answer.length >= 2 && answer.readUInt16BE(0) === query.readUInt16BE(0)) resolve(answer);
      });
      setTimeout(() => reject(failure("ETIMEDOUT")), NAME_SERVER_MS).unref();
      socket.send(query, (error) => error && reject(error));
    });
  } finally {
    socket.close();
  }
}

async function askByTcp(query: Buffer, address: string, port: number): Promise<Buffer> {
  const socket = await openConnection(address, port);
  socket.setTimeout(NAME_SERVER_MS, () => socket.destroy(failure("ETIMEDOUT")));
  socket.end(frame(query));
  let bytes: Buffer = Buffer.alloc(0);
  try {
    for await (const data of socket) {
      bytes = Buffer.concat([bytes, data as Buffer]);
      const length = bytes.length < 2 ? MAX_MESSAGE : bytes.readUInt16BE(0);
      if (bytes.length >= 2 + length) return bytes.subarray(2, 2 + length);
    }
  } finally {
    socket.destroy();
  }
  throw failure("ECONNRESET");
}

function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}
