import { createHash } from "node:crypto";
import { createServer, type Server } from "node:net";
import { networkInterfaces } from "node:os";
import { PodwireError } from "#base/errors.ts";

/** 127.x.y.0/24 with x from 16 to 239: 0 and 1 are used by the system and by resolvers such as 127.0.0.53. */
const FIRST = 16;
const COUNT = (240 - FIRST) * 256;
const ATTEMPTS = 64;
const DEFAULT_API_PORT = 6443;

/** A cluster's own part of the loopback network and the API server's listener in it. */
export interface LoopbackRange {
  /** "127.x.y": hosts are appended to it. */
  readonly prefix: string;
  readonly api: Server;
}

/** Listens, or tells why not. */
export function listen(address: string, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ pauseOnConnect: true });
    server.once("error", reject);
    server.listen({ host: address, port, exclusive: true }, () => {
      server.off("error", reject);
      resolve(server);
    });
  });
}

/** Candidate ranges of a cluster: the first follows from its name, so that a cluster usually gets the same again. */
export function* candidates(name: string): Generator<string> {
  const start = createHash("sha256").update(name).digest().readUInt32BE(0) % COUNT;
  for (let i = 0; i < ATTEMPTS; i++) {
    const n = (start + i * 257) % COUNT;
    yield `127.${FIRST + (n >> 8)}.${n & 255}`;
  }
}

/**
 * Takes a free 127.x.y.0/24 of the loopback network: the one whose .1 can be listened on at the API server's port.
 * The listener itself holds the range against other clusters.
 * @throws PodwireError "NoLoopback" when none is free or the device is down, "PortTaken" when a port that was asked for is taken
 */
export async function takeLoopback(name: string, apiPort: number | undefined): Promise<LoopbackRange> {
  if (!Object.values(networkInterfaces()).some((of) => of?.some((a) => a.internal && a.family === "IPv4")))
    throw new PodwireError(
      "NoLoopback",
      "the loopback device is down, by which the cluster is reached; run: ip link set lo up",
    );
  let last: unknown;
  const port = apiPort ?? DEFAULT_API_PORT;
  for (const prefix of candidates(name)) {
    try {
      return { prefix, api: await listen(`${prefix}.1`, port) };
    } catch (error) {
      last = error;
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") break;
    }
  }
  if (apiPort !== undefined) {
    const taken = (last as NodeJS.ErrnoException).code === "EADDRINUSE";
    const why = taken ? "another program listens there" : (last as Error).message;
    throw new PodwireError("PortTaken", `--api-port ${port}: 127.x.y.1:${port} cannot be used: ${why}`);
  }
  throw new PodwireError("NoLoopback", `no free address 127.x.y.1 for the API server: ${(last as Error).message}`);
}

/**
 * Listens on 127.0.0.1, at a port that was asked for or at any free one.
 * @throws PodwireError "PortTaken" naming the port and the flag
 */
export async function listenLocal(port: number | undefined, flag: string): Promise<Server> {
  try {
    return await listen("127.0.0.1", port ?? 0);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === "EADDRINUSE" ? "another program listens there" : message;
    throw new PodwireError("PortTaken", `${flag} ${port}: 127.0.0.1:${port} cannot be used: ${why}`);
  }
}
