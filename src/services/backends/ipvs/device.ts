import { DeltaTracker } from "#base/delta.ts";
import { familyBits, formatIp, type Ip } from "#base/ip.ts";
import { NetlinkError, type Operation, type Rtnetlink } from "#kernel/netlink/index.ts";
import { Claims } from "../../model/index.ts";

/** The device that holds the addresses of Services, so that the kernel takes their packets for its own. */
export const IPVS_DEVICE = "kube-ipvs0";

/** Refusals that mean that somebody was faster: EEXIST, EADDRNOTAVAIL. */
const harmless: ReadonlySet<number> = new Set([17, 99]);

/** Addresses of Services on {@link IPVS_DEVICE}: a dummy device, down as kube-proxy's, on which they are local all the same. */
export class ServiceAddresses {
  readonly #rt: Rtnetlink;
  readonly #tracker = new DeltaTracker<string, true>();
  readonly #claims = new Claims<true>();
  /** Addresses of the node's other devices: they are local already, and their other ports are the node's. */
  #ofNode: ReadonlySet<string> = new Set();
  #index: number | undefined;

  constructor(rt: Rtnetlink) {
    this.#rt = rt;
  }

  isOfNode(ip: Ip): boolean {
    return this.#ofNode.has(formatIp(ip));
  }

  /** Whether the device has it, as far as is known. */
  isBound(ip: Ip): boolean {
    return this.#tracker.actual.has(formatIp(ip));
  }

  claim(owner: string, ip: Ip): void {
    const key = formatIp(ip);
    const [before] = this.#claims.set(key, owner, true);
    if (!before) this.#tracker.setDesired(key, true);
  }

  release(owner: string, ip: Ip): void {
    const key = formatIp(ip);
    const [before, after] = this.#claims.set(key, owner, undefined);
    if (before && !after) this.#tracker.deleteDesired(key);
  }

  /** Takes what is there as the truth. @returns whether the node has other addresses than before */
  readBack(): boolean {
    const index = this.#rt.link({ name: IPVS_DEVICE })?.index;
    const held: (readonly [string, true])[] = [];
    const ofNode = new Set<string>();
    for (const { index: at, address } of this.#rt.addresses()) {
      const ip = address.replace(/\/.*/, "");
      if (at !== index) ofNode.add(ip);
      // One that the kernel made is not a Service's: kube-proxy leaves it alone.
      else if (!/^fe[89ab]/.test(ip)) held.push([ip, true]);
    }
    this.#index = index;
    this.#tracker.replaceActual(held);
    const isSame = ofNode.size === this.#ofNode.size && [...ofNode].every((ip) => this.#ofNode.has(ip));
    this.#ofNode = ofNode;
    return !isSame;
  }

  /** Takes addresses of former Services away. @throws NetlinkError */
  unbind(): void {
    const index = this.#index;
    const { remove } = this.#tracker.pending();
    if (index === undefined || remove.length === 0) return;
    this.#apply(remove.map(([ip]) => ({ op: "delete-address", index, address: withPrefix(ip) })));
  }

  /** Gives the device what it lacks, and makes it when it is not there. @throws NetlinkError */
  bind(): void {
    const { add } = this.#tracker.pending();
    if (add.length) {
      const index = this.#device();
      this.#apply(add.map(([ip]) => ({ op: "add-address", index, address: withPrefix(ip) })));
    }
    this.#tracker.applied();
  }

  /** Removes the device, and all addresses with it. @throws NetlinkError */
  remove(): void {
    const index = this.#rt.link({ name: IPVS_DEVICE })?.index;
    if (index !== undefined) this.#apply([{ op: "delete-link", index }]);
    this.#index = undefined;
  }

  #device(): number {
    if (this.#index !== undefined) return this.#index;
    this.#apply([{ op: "add-link", name: IPVS_DEVICE, kind: { type: "dummy" } }]);
    const index = this.#rt.link({ name: IPVS_DEVICE })?.index;
    if (index === undefined) throw new Error(`device ${IPVS_DEVICE} went as soon as it was made`);
    this.#index = index;
    return index;
  }

  #apply(operations: readonly Operation[]): void {
    try {
      this.#rt.apply(operations);
    } catch (error) {
      if (!(error instanceof NetlinkError) || !error.failures.every(({ errno }) => harmless.has(errno))) throw error;
    }
  }
}

function withPrefix(text: string): string {
  return `${text}/${familyBits(text.includes(":") ? 6 : 4)}`;
}
