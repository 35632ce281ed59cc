import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { hasCode } from "#base/errors.ts";
import { goErrno } from "#base/goErrors.ts";
import { connectedTcp, openNetns } from "#kernel/namespaces/index.ts";

/** Where a pod's `localhost` is. */
export interface PodPlace {
  /** 64 hexadecimal digits of the pod's sandbox, which upstream's texts name. */
  readonly id: string;
  /** Path of the pod's network namespace; absent: the node's. */
  readonly netns?: string;
}

/** Connects to a port of a pod. */
export type PodDialer = (port: number) => Promise<Socket>;

/**
 * Connects to `localhost` inside a pod: IPv4 first, then IPv6, as containerd does.
 * @throws Error in containerd's words (pkg/cri/server, sandbox_portforward_linux.go)
 */
export async function dialPod(place: PodPlace, port: number): Promise<Socket> {
  const failed = `failed to execute portforward in network namespace ${JSON.stringify(place.netns ?? "host")}`;
  let first: unknown;
  try {
    return await dial(place, "127.0.0.1", port);
  } catch (error) {
    if (hasCode(error, "ENOENT")) throw new Error(`${failed}: ${goErrno(error)}`);
    first = error;
  }
  try {
    return await dial(place, "::1", port);
  } catch (second) {
    const v4 = `dial tcp4 127.0.0.1:${port}: connect: ${goErrno(first)}`;
    const v6 = `dial tcp6 [::1]:${port}: connect: ${goErrno(second)}`;
    const inside = `failed to connect to localhost:${port} inside namespace ${JSON.stringify(place.id)}`;
    throw new Error(`${failed}: ${inside}, IPv4: ${v4} IPv6 ${v6} `);
  }
}

/** A connection whose directions end on their own. */
async function dial({ netns: path }: PodPlace, address: string, port: number): Promise<Socket> {
  if (path === undefined) {
    const socket = connect({ host: address, port, allowHalfOpen: true });
    await once(socket, "connect");
    return socket;
  }
  const netns = openNetns(path);
  try {
    return await connectedTcp(netns, address, port);
  } finally {
    netns.close();
  }
}
