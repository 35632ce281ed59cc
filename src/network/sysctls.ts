import { hasCode } from "#base/errors.ts";
import type { Cidr } from "#base/ip.ts";
import type { Logger } from "#base/log.ts";
import { currentNetns, setSysctls } from "#kernel/namespaces/index.ts";

/** Writes sysctls by slashed name. @throws Error ENOENT */
export type SysctlWriter = (settings: Readonly<Record<string, string>>) => void;

/** Writes sysctls of the thread's network namespace. */
export const writeHere: SysctlWriter = (settings) => {
  const here = currentNetns();
  try {
    setSysctls(here, settings);
  } finally {
    here.close();
  }
};

/** Kernel settings that the pod network relies on. */
export class NetworkSysctls {
  readonly #write: SysctlWriter;
  readonly #log: Logger;

  constructor(write: SysctlWriter, log: Logger) {
    this.#write = write;
    this.#log = log;
  }

  /** The node forwards; bridged packets pass the same rules as routed ones. */
  node(subnets: readonly Cidr[]): void {
    const has = (family: 4 | 6) => subnets.some((subnet) => subnet.ip.family === family);
    this.#write({
      ...(has(4) ? { "net/ipv4/ip_forward": "1" } : {}),
      ...(has(6) ? { "net/ipv6/conf/all/forwarding": "1" } : {}),
    });
    this.#optional(
      { "net/bridge/bridge-nf-call-iptables": "1", "net/bridge/bridge-nf-call-ip6tables": "1" },
      "br_netfilter is not loaded (modprobe br_netfilter): a Service fails for a client on its endpoint's node",
    );
  }

  /** A tunnel device that is still down: no address but what it is given, and that at once. */
  device(name: string, family: 4 | 6): void {
    const conf = `net/ipv6/conf/${name}`;
    const disabled = family === 6 ? "0" : "1";
    const settings = { [`${conf}/accept_ra`]: "0", [`${conf}/accept_dad`]: "0", [`${conf}/disable_ipv6`]: disabled };
    this.#optional(settings, "the kernel has no IPv6");
  }

  #optional(settings: Readonly<Record<string, string>>, consequence: string): void {
    try {
      this.#write(settings);
    } catch (error) {
      if (!hasCode(error, "ENOENT")) throw error;
      this.#log.warn("A kernel setting is missing", { consequence });
    }
  }
}
