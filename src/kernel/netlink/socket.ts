import { AF, check, isErrno, lastErrno, libc, SOCK, SysError } from "#kernel/ffi/index.ts";
import { NLM_F, NLMSG, SOL_NETLINK } from "./constants.ts";
import { NetlinkError, type NetlinkFailure } from "./errors.ts";
import { attributeText, type NetlinkMessage, parseAttributes, parseMessages } from "./messageReader.ts";
import type { MessageWriter } from "./messageWriter.ts";

const MSG_DONTWAIT = 0x40;
const MSG_TRUNC = 0x20;
const SOL_SOCKET = { LEVEL: 1, SNDBUF: 7, RCVBUF: 8, SNDBUFFORCE: 32, RCVBUFFORCE: 33 } as const;
/** The kernel never makes one message larger than this; dumps come in pieces of at most 32 KiB. */
const RECEIVE_BYTES = 256 * 1024;
/** Where recv writes to; what came is copied out before anything else happens, so one is enough for a thread. */
const scratch = Buffer.allocUnsafeSlow(RECEIVE_BYTES);
/** How often a dump is repeated because the tables changed while it ran. */
const DUMP_ATTEMPTS = 8;

/** Settings of a {@link NetlinkSocket}; sizes in bytes. */
export interface NetlinkSocketOptions {
  /** Wanted size of the receive queue (default 1 MiB; stock kernels grant an unprivileged process 416 KB). */
  readonly receiveBuffer?: number;
  /** Wanted size of the send queue, which limits one batch (default: the system's). */
  readonly sendBuffer?: number;
}

/**
 * A netlink socket in the network namespace that was current when it was made.
 *
 * All calls but one are synchronous: the kernel does the work inside send() and has queued every answer when send()
 * returns.
 */
export class NetlinkSocket {
  readonly fd: number;
  readonly #protocol: number;
  #closed = false;

  /** @throws SysError */
  constructor(protocol: number, options: NetlinkSocketOptions = {}) {
    this.#protocol = protocol;
    this.fd = check(libc.socket(AF.NETLINK, SOCK.RAW | SOCK.CLOEXEC, protocol), "socket", `netlink ${protocol}`);
    try {
      this.#option(SOL_NETLINK.LEVEL, SOL_NETLINK.CAP_ACK, 1);
      this.#option(SOL_NETLINK.LEVEL, SOL_NETLINK.EXT_ACK, 1);
      this.#size(SOL_SOCKET.RCVBUFFORCE, SOL_SOCKET.RCVBUF, options.receiveBuffer ?? 1 << 20);
      if (options.sendBuffer !== undefined) this.#size(SOL_SOCKET.SNDBUFFORCE, SOL_SOCKET.SNDBUF, options.sendBuffer);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Sends all messages of the writer in one system call and waits for the kernel's verdict.
   * The last message is acknowledged; for the others success is silent.
   * @param describe says what message number `index` wanted, for the error's text
   * @throws NetlinkError naming the first refused message, with all refusals in `failures`
   */
  execute(writer: MessageWriter, describe = (index: number): string => `netlink message ${index}`): void {
    if (writer.count === 0) return;
    const last = writer.acknowledgeLast().count;
    this.#send(writer);
    const failures: NetlinkFailure[] = [];
    let acknowledged = false;
    for (const message of this.#drain(last)) {
      if (message.type !== NLMSG.ERROR) continue;
      const failure = parseFailure(message);
      if (failure) failures.push(failure);
      else if (message.sequence === last) acknowledged = true;
    }
    const [first, ...rest] = failures;
    if (first) throw new NetlinkError([first, ...rest], describe);
    if (!acknowledged) throw new SysError("recv", 71, `netlink ${this.#protocol}: no acknowledgement`);
  }

  /**
   * Sends one GET request and returns its answers (usually one).
   * @throws NetlinkError
   */
  request(writer: MessageWriter): NetlinkMessage[] {
    this.#send(writer);
    return this.#answers();
  }

  /**
   * As request(), while the kernel works in another thread: for what takes it long. Until then the socket must be used
   * for nothing else.
   * @throws NetlinkError, SysError
   */
  async requestAside(writer: MessageWriter): Promise<NetlinkMessage[]> {
    const bytes = writer.bytes();
    const sent = await new Promise<number>((resolve, reject) => {
      libc.send.async(this.fd, bytes, bytes.length, 0, (error: unknown, result: number | bigint) =>
        error ? reject(error) : resolve(Number(result)),
      );
    });
    // Why it was refused is known in that thread alone: it is refused here again.
    if (sent < 0) this.#send(writer);
    return this.#answers();
  }

  #answers(): NetlinkMessage[] {
    const answers: NetlinkMessage[] = [];
    for (const message of this.#drain()) {
      const failure = message.type === NLMSG.ERROR ? parseFailure(message) : undefined;
      if (failure) throw new NetlinkError([failure], () => "netlink request");
      if (message.type !== NLMSG.ERROR && message.type !== NLMSG.DONE) answers.push(message);
    }
    return answers;
  }

  /**
   * Sends one GET request about one thing and returns the one message that answers it.
   * @throws NetlinkError
   */
  ask(writer: MessageWriter): NetlinkMessage {
    this.#send(writer);
    const buffer = this.#receive();
    const answer = buffer && parseMessages(buffer)[0];
    if (!answer) throw new SysError("recv", 71, `netlink ${this.#protocol}: no answer`);
    const failure = answer.type === NLMSG.ERROR ? parseFailure(answer) : undefined;
    if (failure) throw new NetlinkError([failure], () => "netlink request");
    return answer;
  }

  /**
   * Sends one request with NLM_F_DUMP and returns all its answers; repeats a dump that a change interrupted.
   * @throws NetlinkError
   */
  dump(writer: MessageWriter): NetlinkMessage[] {
    for (let attempt = 1; ; attempt++) {
      this.#send(writer);
      const answers: NetlinkMessage[] = [];
      const interrupted = this.#readDump(answers);
      if (!interrupted || attempt === DUMP_ATTEMPTS) return answers;
    }
  }

  /**
   * Notifications that have come, for a socket that has joined a group; undefined when none is waiting.
   * @throws SysError ENOBUFS when some were lost
   */
  receive(): NetlinkMessage[] | undefined {
    const buffer = this.#receive();
    return buffer && parseMessages(buffer);
  }

  /** The netlink port of this socket. */
  get port(): number {
    // struct sockaddr_nl: u16 family, u16 0, u32 port, u32 groups.
    const address = Buffer.alloc(12);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(address.length);
    check(libc.getsockname(this.fd, address, length), "getsockname", `netlink ${this.#protocol}`);
    return address.readUInt32LE(4);
  }

  /**
   * As dump(), of a request whose header's fields the kernel is to heed as a filter; else it reads none of them
   * (NETLINK_GET_STRICT_CHK, Linux 4.20).
   */
  dumpFiltered(writer: MessageWriter): NetlinkMessage[] {
    this.#option(SOL_NETLINK.LEVEL, SOL_NETLINK.GET_STRICT_CHK, 1);
    try {
      return this.dump(writer);
    } finally {
      this.#option(SOL_NETLINK.LEVEL, SOL_NETLINK.GET_STRICT_CHK, 0);
    }
  }

  /** Closes the descriptor. More calls do nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    libc.close(this.fd);
  }

  /** The kernel makes the next piece of a dump inside each recv, so there is never a wait. */
  #readDump(answers: NetlinkMessage[]): boolean {
    let interrupted = false;
    for (;;) {
      const buffer = this.#receive();
      if (!buffer) throw new SysError("recv", 71, `netlink ${this.#protocol}: dump without end`);
      for (const message of parseMessages(buffer)) {
        if (message.flags & NLM_F.DUMP_INTR) interrupted = true;
        if (message.type === NLMSG.DONE) return interrupted;
        const failure = message.type === NLMSG.ERROR ? parseFailure(message) : undefined;
        if (failure) throw new NetlinkError([failure], () => "netlink dump");
        answers.push(message);
      }
    }
  }

  /** What is waiting; nothing comes after the answer to the message `last` of a batch. */
  #drain(last?: number): NetlinkMessage[] {
    const messages: NetlinkMessage[] = [];
    for (;;) {
      try {
        const buffer = this.#receive();
        if (!buffer) return messages;
        messages.push(...parseMessages(buffer));
        const newest = messages.at(-1);
        if (newest?.type === NLMSG.ERROR && newest.sequence === last) return messages;
      } catch (error) {
        // The queue has overflowed; who misses an answer says so.
        if (!isErrno(error, "ENOBUFS")) throw error;
      }
    }
  }

  /** One datagram, or undefined when none is waiting. */
  #receive(): Buffer | undefined {
    for (;;) {
      const n = Number(libc.recv(this.fd, scratch, scratch.length, MSG_DONTWAIT | MSG_TRUNC));
      if (n > scratch.length) throw new SysError("recv", 90, `netlink message of ${n} bytes`);
      if (n >= 0) return Buffer.from(scratch.subarray(0, n));
      const errno = lastErrno();
      if (errno === "EAGAIN") return undefined;
      if (errno !== "EINTR") check(n, "recv", `netlink ${this.#protocol}`);
    }
  }

  #send(writer: MessageWriter): void {
    const bytes = writer.bytes();
    for (;;) {
      try {
        check(libc.send(this.fd, bytes, bytes.length, 0), "send", `netlink ${this.#protocol}, ${bytes.length} bytes`);
        return;
      } catch (error) {
        if (!isErrno(error, "EINTR")) throw error;
      }
    }
  }

  #option(level: number, name: number, value: number): number {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value);
    return libc.setsockopt(this.fd, level, name, bytes, 4);
  }

  /** The forcing form passes the system's limit but needs CAP_NET_ADMIN in the initial namespace. */
  #size(force: number, plain: number, bytes: number): void {
    if (this.#option(SOL_SOCKET.LEVEL, force, bytes) < 0) this.#option(SOL_SOCKET.LEVEL, plain, bytes);
  }
}

/** The failure of an NLMSG_ERROR message (struct nlmsgerr), undefined for an acknowledgement. */
function parseFailure(message: NetlinkMessage): NetlinkFailure | undefined {
  const errno = -message.payload.readInt32LE(0);
  if (errno === 0) return undefined;
  let reason = "";
  let offset: number | undefined;
  if (message.flags & NLM_F.ACK_TLVS) {
    // Uncapped errors echo the whole request (aligned) before the attributes.
    const echoed = message.flags & NLM_F.CAPPED ? 16 : (message.payload.readUInt32LE(4) + 3) & ~3;
    const explained = parseAttributes(message.payload.subarray(4 + echoed));
    const text = explained.get(1);
    if (text) reason = attributeText(text);
    offset = explained.get(2)?.readUInt32LE();
  }
  return { index: message.sequence - 1, errno, reason, ...(offset !== undefined && { offset }) };
}
