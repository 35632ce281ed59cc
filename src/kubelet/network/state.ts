import { type FSWatcher, mkdirSync, readFileSync, renameSync, watch, writeFileSync } from "node:fs";
import { errorMessage } from "#base/errors.ts";
import { cidrContains, parseCidr, tryParseIp } from "#base/ip.ts";
import type { Logger } from "#base/log.ts";
import { type CniRuntime, DEFAULT_CONFLIST_FILE, defaultConflist, type NetworkConfig } from "#cni/index.ts";

/** How the node's pod network stands. */
export interface NetworkState {
  /** Why no pod can be attached now; absent when all is well. */
  readonly problem?: string;
  /** Set when new pods get addresses outside the node's part of the cluster's pod network. */
  readonly outside?: string;
}

/** What the kubelet says when no configuration is there (containerd's text). */
const UNINITIALIZED = "Network plugin returns error: cni plugin not initialized";

/** Editors write a file in several steps: changes are looked at together after this long. */
const SETTLE_MS = 20;

/** Subnets named anywhere in a network's IPAM configuration. */
function subnetsOf(network: NetworkConfig): string[] {
  const found: string[] = [];
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    for (const [key, inner] of Object.entries(value)) {
      if (key === "subnet" && typeof inner === "string") found.push(inner);
      else visit(inner);
    }
  };
  for (const plugin of network.plugins) visit(plugin.ipam);
  return found;
}

/**
 * Which subnet of a network lies outside the node's own, in words.
 * @param podCidrs the node's spec.podCIDRs
 */
export function outsideOf(network: NetworkConfig, podCidrs: readonly string[]): string | undefined {
  if (podCidrs.length === 0) return undefined;
  const own = podCidrs.map((c) => parseCidr(c));
  const isInside = (subnet: string) => {
    if (!tryParseIp(subnet.split("/")[0] ?? "")) return true;
    const cidr = parseCidr(subnet);
    return own.some((o) => cidrContains(o, cidr));
  };
  const stray = subnetsOf(network).find((subnet) => !isInside(subnet));
  if (stray === undefined) return undefined;
  return `network "${network.name}" of ${network.file} gives pods addresses of ${stray}, outside this node's ${podCidrs.join(", ")} of the cluster's pod network`;
}

/** Watches the folder of CNI configurations, and writes the default one when the node's subnet is known. */
export class NetworkWatch {
  readonly #folder: string;
  readonly #cni: CniRuntime;
  readonly #log: Logger;
  readonly #onChange: (state: NetworkState) => void;
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #podCidrs: readonly string[] = [];
  #state: NetworkState = { problem: UNINITIALIZED };

  /** @param folder `/etc/cni/net.d`; made when missing */
  constructor(folder: string, cni: CniRuntime, log: Logger, onChange: (state: NetworkState) => void) {
    this.#folder = folder;
    this.#cni = cni;
    this.#log = log;
    this.#onChange = onChange;
    mkdirSync(folder, { recursive: true });
  }

  get state(): NetworkState {
    return this.#state;
  }

  /** Looks at the folder, now and whenever it changes. */
  start(): void {
    this.#watcher = watch(this.#folder, { persistent: false }, () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.look(), SETTLE_MS);
    });
    this.#watcher.on("error", (error) =>
      this.#log.warn("Cannot watch CNI configurations", { error: errorMessage(error) }),
    );
    this.look();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#watcher?.close();
  }

  /** The node has its subnets: the default configuration is written unless it is there with this content. */
  setPodCidrs(podCidrs: readonly string[], mtu: number): void {
    if (podCidrs.length === 0 || podCidrs.join() === this.#podCidrs.join()) return;
    this.#podCidrs = podCidrs;
    const path = `${this.#folder}/${DEFAULT_CONFLIST_FILE}`;
    const text = `${JSON.stringify(defaultConflist(podCidrs, mtu), undefined, 2)}\n`;
    if (readOptional(path) !== text) {
      // The draft's name has no ending that a runtime would read.
      writeFileSync(`${path}.draft`, text, { mode: 0o644 });
      renameSync(`${path}.draft`, path);
    }
    this.look();
  }

  /** Reads the folder now. */
  look(): void {
    const state = this.#read();
    if (state.problem === this.#state.problem && state.outside === this.#state.outside) return;
    this.#state = state;
    this.#onChange(state);
  }

  #read(): NetworkState {
    try {
      const network = this.#cni.network();
      const outside = outsideOf(network, this.#podCidrs);
      return outside === undefined ? {} : { outside };
    } catch (error) {
      const message = errorMessage(error);
      return {
        problem: message.startsWith("no networks found") ? UNINITIALIZED : `Network plugin returns error: ${message}`,
      };
    }
  }
}

function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
