import { MessageWriter, NETLINK, NetlinkError, type NetlinkFailure, NetlinkSocket } from "#kernel/netlink/index.ts";
import {
  encodeOperation,
  familyRequest,
  readFamily,
  readReal,
  readServer,
  realServersRequest,
  serversRequest,
  timeoutsRequest,
} from "./codec.ts";
import {
  describeIpvs,
  type Ipvs,
  type IpvsOperation,
  type IpvsTimeouts,
  type RealServerState,
  type ServerKey,
  type VirtualServer,
} from "./model.ts";

/** Name of the generic netlink family (IPVS_GENL_NAME). The kernel loads the module ip_vs when it is asked for. */
export const IPVS_FAMILY = "IPVS";

/** Most messages of one send: as many refusals fit a stock kernel's receive queue. */
const SEND_MESSAGES = 256;

/**
 * IPVS of the network namespace that is current now.
 * @throws NetlinkError ENOENT when the kernel has no IPVS
 */
export function openIpvs(): Ipvs {
  const socket = new NetlinkSocket(NETLINK.GENERIC);
  try {
    const family = socket.request(familyRequest(IPVS_FAMILY)).map(readFamily)[0];
    if (family === undefined) throw new RangeError("the kernel's answer does not say the number of family IPVS");
    return new KernelIpvs(socket, family);
  } catch (error) {
    socket.close();
    throw error;
  }
}

class KernelIpvs implements Ipvs {
  readonly #socket: NetlinkSocket;
  readonly #family: number;
  readonly #writer = new MessageWriter();

  constructor(socket: NetlinkSocket, family: number) {
    this.#socket = socket;
    this.#family = family;
  }

  servers(): VirtualServer[] {
    return this.#socket.dump(serversRequest(this.#family)).flatMap((message) => readServer(message) ?? []);
  }

  realServers(server: ServerKey): RealServerState[] {
    const answers = this.#socket.dump(realServersRequest(this.#family, server));
    return answers.flatMap((message) => readReal(message, server.ip.family) ?? []);
  }

  apply(operations: readonly IpvsOperation[]): void {
    const failures: NetlinkFailure[] = [];
    for (let start = 0; start < operations.length; start += SEND_MESSAGES) {
      const writer = this.#writer.reset();
      for (const operation of operations.slice(start, start + SEND_MESSAGES))
        encodeOperation(writer, this.#family, operation);
      try {
        this.#socket.execute(writer);
      } catch (error) {
        if (!(error instanceof NetlinkError)) throw error;
        for (const failure of error.failures) failures.push({ ...failure, index: failure.index + start });
      }
    }
    const [first, ...rest] = failures;
    if (first) throw new NetlinkError([first, ...rest], (index) => describeIpvs(operations[index] as IpvsOperation));
  }

  setTimeouts(timeouts: IpvsTimeouts): void {
    this.#socket.execute(timeoutsRequest(this.#family, timeouts), () => "set IPVS timeouts");
  }

  close(): void {
    this.#socket.close();
  }
}
