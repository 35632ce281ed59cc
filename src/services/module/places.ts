import type { Ip } from "#base/ip.ts";
import type { ProxyMode } from "../backends/index.ts";
import type { ProxyConfig } from "../config/index.ts";
import { nodePortAddresses } from "../model/index.ts";
import { nodePortCidrs } from "./modes.ts";
import { interfaceAddresses, primaryAddresses, sameAddresses } from "./node.ts";

/** Where the node is reached, which may change while it runs. */
export class NodePlaces {
  own: readonly Ip[];
  readonly #config: ProxyConfig;
  readonly #mode: ProxyMode;
  #last: readonly Ip[] = [];

  constructor(config: ProxyConfig, mode: ProxyMode, own: readonly Ip[]) {
    this.#config = config;
    this.#mode = mode;
    this.own = own;
    this.#last = this.nodePorts();
  }

  get primary(): Ip[] {
    return primaryAddresses(this.own, this.#config.bindAddress);
  }

  nodePorts(): Ip[] {
    const limits = {
      cidrs: nodePortCidrs(this.#config, this.#mode),
      localhost: this.#mode === "iptables" && this.#config["iptables.localhostNodePorts"],
    };
    return nodePortAddresses(limits, { primary: this.primary, all: [...interfaceAddresses(), ...this.primary] });
  }

  /** @param own the node's addresses now; empty: as before @returns whether anything is different */
  change(own: readonly Ip[]): boolean {
    const isSame = own.length === 0 || sameAddresses(own, this.own);
    if (!isSame) this.own = own;
    const now = this.nodePorts();
    const hasMoved = !isSame || !sameAddresses(now, this.#last);
    this.#last = now;
    return hasMoved;
  }
}
