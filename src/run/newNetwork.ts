import { randomBytes } from "node:crypto";
import type { NetworkMode, PublishedPort, RunNetwork } from "./model.ts";

/**
 * The network of a new container, with names that nobody has: twelve digits as below Docker's /var/run/docker/netns,
 * seven behind `veth`.
 * @param address gives one of docker0's network, for the bridge
 */
export function newNetwork(mode: NetworkMode, ports: readonly PublishedPort[], address: () => string): RunNetwork {
  if (mode === "host") return { mode, ports: [] };
  const netns = randomBytes(6).toString("hex");
  if (mode === "none") return { mode, netns, ports: [] };
  const digits = randomBytes(7).toString("hex");
  const attachment = { veth: `veth${digits.slice(0, 7)}`, peer: `veth${digits.slice(7)}`, address: address() };
  return { mode, netns, attachment, ports };
}
