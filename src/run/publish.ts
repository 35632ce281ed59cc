import { PodwireError } from "#base/errors.ts";
import type { PublishedPort } from "./model.ts";
import { type Listener, proxyTcp } from "./proxyTcp.ts";
import { proxyUdp } from "./proxyUdp.ts";

/** Codes of errors that say that this node has no IPv6. */
const NO_IPV6 = new Set(["EAFNOSUPPORT", "EADDRNOTAVAIL"]);

/**
 * Listens on published ports, for those whom no rule of iptables redirects: the node itself by 127.0.0.1, and IPv6.
 * @param address of the container
 * @throws PodwireError "Conflict" when something else listens there; nothing listens then
 */
export async function publish(address: string, ports: readonly PublishedPort[]): Promise<Listener> {
  const listeners: Listener[] = [];
  const close = () => {
    for (const listener of listeners.splice(0)) listener.close();
  };
  try {
    for (const port of ports)
      for (const own of port.ip === undefined ? ["0.0.0.0", "::"] : [port.ip]) {
        const listener = await listen(own, address, port);
        if (listener) listeners.push(listener);
      }
  } catch (error) {
    close();
    throw error;
  }
  return { close };
}

async function listen(own: string, address: string, port: PublishedPort): Promise<Listener | undefined> {
  const { host, container, protocol } = port;
  try {
    const target = { address, port: container };
    return await (protocol === "tcp" ? proxyTcp(own, host, target) : proxyUdp(own, host, target));
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    if (own === "::" && NO_IPV6.has(code)) return undefined;
    const words = code === "EADDRINUSE" ? "address already in use" : message;
    throw new PodwireError("Conflict", `failed to bind host port ${own}:${host}/${protocol}: ${words}`);
  }
}
