import { check, libc } from "#kernel/ffi/index.ts";
import { inNetns, type Netns } from "#kernel/namespaces/index.ts";
import { FAMILY, NETLINK, RTM } from "./constants.ts";
import { decodeAddress, decodeFdb, decodeLink, decodeNeighbour, decodeRoute } from "./decode.ts";
import type { NetlinkMessage } from "./messageReader.ts";
import type { Address, FdbEntry, KernelRoute, Link, Neighbour } from "./model.ts";
import { NetlinkSocket } from "./socket.ts";

/** Commands and flags of fcntl(2) (include/uapi/asm-generic/fcntl.h). */
const F_SETFL = 4;
const F_SETOWN = 8;
const O_NONBLOCK = 0o4000;
const O_ASYNC = 0o20000;

/** Notification groups (RTNLGRP_*, include/uapi/linux/rtnetlink.h). */
const groups = { link: [1], neighbour: [3], address: [5, 9], route: [7, 11] } as const;

/** What can be watched. Neighbours include forwarding entries. */
export type WatchKind = keyof typeof groups;

/** A change that the kernel tells of; `gone` when the thing was removed. */
export type RtnetlinkChange =
  | { readonly kind: "link"; readonly gone: boolean; readonly link: Link }
  | { readonly kind: "address"; readonly gone: boolean; readonly address: Address }
  | { readonly kind: "route"; readonly gone: boolean; readonly route: KernelRoute }
  | { readonly kind: "neighbour"; readonly gone: boolean; readonly neighbour: Neighbour }
  | { readonly kind: "fdb"; readonly gone: boolean; readonly fdb: FdbEntry }
  /** Changes came faster than they were read: read the tables afresh. */
  | { readonly kind: "lost" };

/**
 * Tells of changes in a network namespace, own ones too, until the signal is aborted.
 *
 * Node cannot poll a netlink descriptor. So the kernel says by SIGIO that something is waiting, which Node delivers
 * between two turns of its event loop; then everything is read without blocking. Only in the main thread: workers get
 * no signals. It does not keep the process alive.
 * @param netns without one, the thread's current namespace
 * @throws SysError
 */
export function watchRtnetlink(
  kinds: readonly WatchKind[],
  handler: (change: RtnetlinkChange) => void,
  signal: AbortSignal,
  netns?: Pick<Netns, "fd">,
): void {
  const make = () =>
    new NetlinkSocket(NETLINK.ROUTE, { groups: kinds.flatMap((kind) => groups[kind]), receiveBuffer: 4 << 20 });
  const socket = netns ? inNetns(netns, make) : make();
  const read = () => {
    const { messages, lost } = socket.receive();
    if (lost) handler({ kind: "lost" });
    for (const message of messages) {
      const change = decodeChange(message);
      if (change && !signal.aborted) handler(change);
    }
  };
  const stop = () => {
    process.off("SIGIO", read);
    socket.close();
  };
  // The handler comes first: SIGIO ends a process that has none.
  process.on("SIGIO", read);
  signal.addEventListener("abort", stop, { once: true });
  try {
    check(libc.fcntl(socket.fd, F_SETOWN, process.pid), "fcntl", "owner of a netlink socket");
    check(libc.fcntl(socket.fd, F_SETFL, O_NONBLOCK | O_ASYNC), "fcntl", "signals of a netlink socket");
  } catch (error) {
    stop();
    throw error;
  }
  if (signal.aborted) stop();
}

function decodeChange({ type, payload }: NetlinkMessage): RtnetlinkChange | undefined {
  switch (type) {
    case RTM.NEWLINK:
    case RTM.DELLINK:
      // Bridges tell of their ports in a form of their own.
      if (payload.readUInt8(0) === FAMILY.BRIDGE) return undefined;
      return { kind: "link", gone: type === RTM.DELLINK, link: decodeLink(payload) };
    case RTM.NEWADDR:
    case RTM.DELADDR:
      return { kind: "address", gone: type === RTM.DELADDR, address: decodeAddress(payload) };
    case RTM.NEWROUTE:
    case RTM.DELROUTE: {
      const route = decodeRoute(payload);
      return route && { kind: "route", gone: type === RTM.DELROUTE, route };
    }
    case RTM.NEWNEIGH:
    case RTM.DELNEIGH: {
      const gone = type === RTM.DELNEIGH;
      const fdb = decodeFdb(payload);
      if (fdb) return { kind: "fdb", gone, fdb };
      const neighbour = decodeNeighbour(payload);
      return neighbour && { kind: "neighbour", gone, neighbour };
    }
    default:
      return undefined;
  }
}
