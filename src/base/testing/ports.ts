import { once } from "node:events";
import { createServer } from "node:net";

/**
 * Ports for tests come from here: above the well-known ones, below NodePorts and below those that Linux gives out by
 * itself (ip_local_port_range, from 32768), so that no connection of another program takes one that was just picked.
 */
const FIRST = 10_000;
const COUNT = 20_000;

/** Different TCP ports of loopback that nobody listens on, for what has to be told a port before it listens. */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  for (let tries = 0; found.size < count; tries++) {
    if (tries > 1000 * count) throw new Error(`no ${count} free ports from ${FIRST} to ${FIRST + COUNT - 1}`);
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if (!found.has(port) && (await isFree(port))) found.add(port);
  }
  return [...found];
}

/** One such port. A test that needs several takes them with {@link freePorts}, so that they differ. */
export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port as number;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  // By an address that means all of them, a listener on one of loopback's is found too.
  server.listen(port, "0.0.0.0");
  try {
    await once(server, "listening");
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}
