/** Sockets of a network namespace by sock_diag(7): which UDP sockets are connected, and ending them. */
import type { Ip } from "#base/ip.ts";
import { AF } from "#kernel/ffi/index.ts";
import { MessageWriter, NetlinkError, NetlinkSocket, NLM_F } from "#kernel/netlink/index.ts";

/** Netlink family and messages (include/uapi/linux/sock_diag.h). */
const NETLINK_SOCK_DIAG = 4;
const MESSAGE = { BY_FAMILY: 20, DESTROY: 21 } as const;
const IPPROTO_UDP = 17;
/** A connected UDP socket has the state of an established TCP one; as a bit of idiag_states. */
const CONNECTED = 1 << 1;
/**
 * struct inet_diag_sockid within struct inet_diag_msg: after family, state, timer, retrans (1 byte each) come be16 source
 * port, be16 destination port, source, destination (16 bytes each), u32 interface, 8 bytes of cookie.
 */
const ID = { start: 4, length: 48, destinationPort: 2, destination: 20, cookie: 40 } as const;
const ENOENT = 2;

/** A connected UDP socket. */
export interface ConnectedSocket {
  readonly family: 4 | 6;
  readonly peer: Ip;
  readonly port: number;
  /** Its number, as programs in the kernel see it (bpf_get_socket_cookie): 8 bytes. */
  readonly cookie: Buffer;
  /** struct inet_diag_sockid. */
  readonly id: Buffer;
}

/** Sockets of one network namespace. */
export interface SockDiag {
  /** UDP sockets that are connected. An IPv4 peer of a socket of both families is ::ffff:a.b.c.d. @throws NetlinkError */
  connectedUdp(): ConnectedSocket[];
  /**
   * Ends sockets: what waits on one fails with ECONNABORTED, and it is connected to nobody from then on. Those that are
   * gone already are no error.
   * @returns how many were there
   * @throws NetlinkError EPERM without CAP_NET_ADMIN; EOPNOTSUPP where the kernel cannot (CONFIG_INET_DIAG_DESTROY)
   */
  end(sockets: readonly ConnectedSocket[]): number;
  close(): void;
}

/** Sockets of the network namespace that is current now. @throws SysError */
export function openSockDiag(): SockDiag {
  const socket = new NetlinkSocket(NETLINK_SOCK_DIAG);
  return {
    connectedUdp: () => ([4, 6] as const).flatMap((family) => connected(socket, family)),
    end(sockets) {
      const writer = new MessageWriter();
      for (const one of sockets) request(writer, MESSAGE.DESTROY, 0, one);
      try {
        socket.execute(writer, () => "end a socket");
        return sockets.length;
      } catch (error) {
        if (!(error instanceof NetlinkError) || error.failures.some(({ errno }) => errno !== ENOENT)) throw error;
        return sockets.length - error.failures.length;
      }
    },
    close: () => socket.close(),
  };
}

function connected(socket: NetlinkSocket, family: 4 | 6): ConnectedSocket[] {
  const writer = request(new MessageWriter(128), MESSAGE.BY_FAMILY, NLM_F.DUMP, {
    family,
    id: Buffer.alloc(ID.length),
  });
  return socket.dump(writer).map(({ payload }) => {
    const id = Buffer.from(payload.subarray(ID.start, ID.start + ID.length));
    const bytes = id.subarray(ID.destination, ID.destination + (family === 4 ? 4 : 16));
    const port = id.readUInt16BE(ID.destinationPort);
    return { family, peer: { family, bytes }, port, cookie: id.subarray(ID.cookie), id };
  });
}

/** struct inet_diag_req_v2: family, protocol, extensions, padding, u32 states, the socket. */
function request(
  writer: MessageWriter,
  type: number,
  flags: number,
  { family, id }: Pick<ConnectedSocket, "family" | "id">,
): MessageWriter {
  writer
    .begin(type, flags)
    .u8(family === 4 ? AF.INET : AF.INET6)
    .u8(IPPROTO_UDP)
    .u16(0);
  return writer.u32(CONNECTED).raw(id).end();
}
