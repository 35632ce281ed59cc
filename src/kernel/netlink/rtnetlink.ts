import { isErrno } from "#kernel/ffi/index.ts";
import { inNetns, type Netns } from "#kernel/namespaces/index.ts";
import { FAMILY, IFLA, NETLINK, NLM_F, RT, RTM } from "./constants.ts";
import { decodeAddress, decodeFdb, decodeGroup, decodeLink, decodeNeighbour, decodeRoute } from "./decode.ts";
import { describeOperation } from "./describe.ts";
import type { LinkRef, OriginIndex, Rtnetlink } from "./driver.ts";
import { encodeOperation } from "./encode.ts";
import { MAX_LINK_NAME } from "./encodeLink.ts";
import { NetlinkError, type NetlinkFailure } from "./errors.ts";
import { MessageWriter } from "./messageWriter.ts";
import type { Address, FdbEntry, KernelRoute, Link, Neighbour, Operation } from "./model.ts";
import { OriginRecorder } from "./origins.ts";
import { NetlinkSocket } from "./socket.ts";

/**
 * Most messages of one send: their bytes fit a stock kernel's send queue, and as many refusals its receive queue.
 * Operations are not atomic together anyway.
 */
const SEND_MESSAGES = 256;

/** Route netlink of a real network namespace. */
class KernelRtnetlink implements Rtnetlink {
  readonly #socket: NetlinkSocket;
  readonly #writer = new MessageWriter();
  readonly #origins = new OriginRecorder();

  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  get origins(): OriginIndex {
    return this.#origins;
  }

  apply(operations: readonly Operation[]): void {
    const failures: NetlinkFailure[] = [];
    for (let start = 0; start < operations.length; start += SEND_MESSAGES) {
      const part = operations.slice(start, start + SEND_MESSAGES);
      for (const failure of this.#send(part)) failures.push({ ...failure, index: failure.index + start });
    }
    const [first, ...rest] = failures;
    if (first) throw new NetlinkError([first, ...rest], (index) => describeOperation(operations[index] as Operation));
  }

  /** One send; gives the refusals, and records the origins of the rest. */
  #send(operations: readonly Operation[]): readonly NetlinkFailure[] {
    const writer = this.#writer.reset();
    for (const operation of operations) encodeOperation(writer, operation);
    let failures: readonly NetlinkFailure[] = [];
    try {
      this.#socket.execute(writer);
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      failures = error.failures;
    }
    const failed = new Set(failures.map((failure) => failure.index));
    operations.forEach((operation, index) => {
      if (!failed.has(index)) this.#origins.record(operation, this.#indexOf(operation));
    });
    return failures;
  }

  adopt(operations: readonly Operation[]): void {
    for (const operation of operations) this.#origins.record(operation, this.#indexOf(operation));
  }

  links(): Link[] {
    const writer = this.#writer.reset().begin(RTM.GETLINK, NLM_F.DUMP).u8(0).u8(0).u16(0).i32(0).u32(0).u32(0).end();
    return this.#socket.dump(writer).map((message) => decodeLink(message.payload));
  }

  link(ref: LinkRef): Link | undefined {
    const writer = this.#writer.reset().begin(RTM.GETLINK);
    writer
      .u8(0)
      .u8(0)
      .u16(0)
      .i32("index" in ref ? ref.index : 0)
      .u32(0)
      .u32(0);
    if ("name" in ref) {
      const long = Buffer.byteLength(ref.name) > MAX_LINK_NAME;
      writer.attributeText(IFLA.ALT_IFNAME, ref.name);
      if (!long) writer.attributeText(IFLA.IFNAME, ref.name);
    }
    try {
      return decodeLink(this.#socket.ask(writer.end()).payload);
    } catch (error) {
      if (isErrno(error, "ENODEV")) return undefined;
      throw error;
    }
  }

  addresses(index?: number): Address[] {
    const writer = this.#writer
      .reset()
      .begin(RTM.GETADDR, NLM_F.DUMP)
      .u8(0)
      .u8(0)
      .u8(0)
      .u8(0)
      .u32(index ?? 0)
      .end();
    // A node has an address on the node's end of each pod: without the filter all pods together would cost n².
    const all = this.#socket.dumpFiltered(writer).map((message) => decodeAddress(message.payload));
    return index === undefined ? all : all.filter((address) => address.index === index);
  }

  groups(index: number): string[] {
    const writer = this.#writer
      .reset()
      .begin(RTM.GETMULTICAST, NLM_F.DUMP)
      .u8(FAMILY.INET6)
      .u8(0)
      .u8(0)
      .u8(0)
      .u32(0)
      .end();
    return this.#socket.dump(writer).flatMap((message) => {
      const found = decodeGroup(message.payload);
      return found?.index === index ? [found.group] : [];
    });
  }

  routes(filter: { table?: number; protocol?: number; index?: number } = {}): KernelRoute[] {
    const writer = this.#writer.reset().begin(RTM.GETROUTE, NLM_F.DUMP).u32(0).u32(0).u32(0).end();
    return this.#socket.dump(writer).flatMap((message) => {
      const route = decodeRoute(message.payload);
      if (!route) return [];
      const table = filter.table === undefined ? route.table !== RT.TABLE_LOCAL : route.table === filter.table;
      const protocol = filter.protocol === undefined || route.protocol === filter.protocol;
      const index = filter.index === undefined || route.index === filter.index;
      return table && protocol && index ? [route] : [];
    });
  }

  neighbours(index?: number): Neighbour[] {
    return this.#neighbourDump(FAMILY.UNSPEC, decodeNeighbour, index);
  }

  fdb(index?: number): FdbEntry[] {
    return this.#neighbourDump(FAMILY.BRIDGE, decodeFdb, index);
  }

  close(): void {
    this.#socket.close();
  }

  #neighbourDump<T extends { index: number }>(
    family: number,
    decode: (payload: Buffer) => T | undefined,
    index?: number,
  ): T[] {
    const writer = this.#writer.reset().begin(RTM.GETNEIGH, NLM_F.DUMP);
    writer.u8(family).u8(0).u16(0).i32(0).u16(0).u8(0).u8(0).end();
    return this.#socket.dump(writer).flatMap((message) => {
      const entry = decode(message.payload);
      return entry && (index === undefined || entry.index === index) ? [entry] : [];
    });
  }

  /** Index of a device just made, asked of the kernel only when an origin is to be kept. */
  #indexOf(operation: Operation): number | undefined {
    if (operation.op !== "add-link" || !operation.origin) return undefined;
    return operation.index ?? this.link({ name: operation.name })?.index;
  }
}

/**
 * Opens route netlink in a network namespace; without one, in the thread's current namespace.
 * @throws SysError
 */
export function openRtnetlink(netns?: Pick<Netns, "fd">): Rtnetlink {
  const make = () => new NetlinkSocket(NETLINK.ROUTE);
  return new KernelRtnetlink(netns ? inNetns(netns, make) : make());
}
