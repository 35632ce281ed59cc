import { AF, addressOf, check, isErrno, libc, SOCK } from "#kernel/ffi/index.ts";
import type { PollWatcher } from "./pollWatcher.ts";

/** cmsg(3): a header of 16 bytes, then descriptors of 4 bytes each. */
const CONTROL_HEADER = 16;
const CONTROL_SIZE = 24;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CMSG_CLOEXEC = 0x40000000;
/** unix(7): most bytes of a path with the NUL behind it. */
const PATH_SIZE = 108;
const MESSAGE_SIZE = 256;

/**
 * A socket at which a container runtime hands over a container's terminal, as `--console-socket` of runc and crun has
 * it (runc, docs/terminals.md): one connection, one message with one descriptor.
 */
export class ConsoleSocket {
  readonly #poll: PollWatcher;
  readonly #fds = new Set<number>();
  readonly #came = Promise.withResolvers<number>();
  /** A terminal that nobody has taken. */
  #untaken: number | undefined;

  /** Listens. @param path where nothing is yet @throws SysError; RangeError for a path that is too long */
  constructor(path: string, poll: PollWatcher) {
    this.#poll = poll;
    const fd = check(libc.socket(AF.UNIX, SOCK.STREAM | SOCK.CLOEXEC | SOCK.NONBLOCK, 0), "socket", path);
    this.#fds.add(fd);
    const address = Buffer.alloc(2 + PATH_SIZE);
    address.writeUInt16LE(AF.UNIX);
    if (Buffer.byteLength(path) >= PATH_SIZE) throw new RangeError(`${path}: too long for a socket`);
    address.write(path, 2);
    check(libc.bind(fd, address, address.length), "bind", path);
    check(libc.listen(fd, 1), "listen", path);
    poll.watch(fd, () => this.#accept(fd));
  }

  /** Our end of the terminal, once it came; it is the caller's. */
  async take(): Promise<number> {
    const terminal = await this.#came.promise;
    this.#untaken = undefined;
    return terminal;
  }

  /** No terminal is waited for any more. */
  close(): void {
    if (this.#untaken !== undefined) libc.close(this.#untaken);
    this.#untaken = undefined;
    for (const fd of this.#fds) this.#drop(fd);
  }

  #drop(fd: number): void {
    this.#fds.delete(fd);
    this.#poll.unwatch(fd);
    libc.close(fd);
  }

  #accept(listener: number): boolean {
    const fd = libc.accept4(listener, null, null, SOCK.CLOEXEC | SOCK.NONBLOCK) as number;
    if (fd < 0) return true;
    this.#fds.add(fd);
    this.#poll.watch(fd, () => {
      const terminal = receiveDescriptor(fd);
      if (terminal === "later") return true;
      if (terminal !== undefined) {
        this.#untaken = terminal;
        this.#came.resolve(terminal);
      }
      this.#drop(fd);
      return false;
    });
    return true;
  }
}

/** The descriptor of a message; undefined when there is none in it. */
function receiveDescriptor(fd: number): number | "later" | undefined {
  const [data, vector, control] = [Buffer.alloc(MESSAGE_SIZE), Buffer.alloc(16), Buffer.alloc(CONTROL_SIZE)];
  vector.writeBigUInt64LE(addressOf(data), 0);
  vector.writeBigUInt64LE(BigInt(data.length), 8);
  // struct msghdr (64 bit): name, its length, vectors, their number, control, its length, flags.
  const header = Buffer.alloc(56);
  header.writeBigUInt64LE(addressOf(vector), 16);
  header.writeBigUInt64LE(1n, 24);
  header.writeBigUInt64LE(addressOf(control), 32);
  header.writeBigUInt64LE(BigInt(control.length), 40);
  try {
    check(libc.recvmsg(fd, header, MSG_CMSG_CLOEXEC), "recvmsg");
  } catch (error) {
    if (isErrno(error, "EAGAIN")) return "later";
    return undefined;
  }
  const isDescriptor = control.readInt32LE(8) === SOL_SOCKET && control.readInt32LE(12) === SCM_RIGHTS;
  return isDescriptor ? control.readInt32LE(CONTROL_HEADER) : undefined;
}
