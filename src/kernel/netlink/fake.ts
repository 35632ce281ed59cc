import { parseCidr } from "#base/ip.ts";
import { describeOperation } from "./describe.ts";
import type { LinkRef, OriginIndex, Rtnetlink } from "./driver.ts";
import { encodeOperation } from "./encode.ts";
import { NetlinkError, type NetlinkFailure } from "./errors.ts";
import { ERRNO, type FakeLink, FakeNamespace, Refusal } from "./fakeState.ts";
import { randomMac } from "./mac.ts";
import { MessageWriter } from "./messageWriter.ts";
import type {
  AddAltName,
  AddFdb,
  AddLink,
  AddNeighbour,
  Address,
  DeleteGroup,
  FdbEntry,
  KernelRoute,
  Link,
  Neighbour,
  Operation,
  SetLink,
} from "./model.ts";
import { OriginRecorder } from "./origins.ts";
import { solicitedNode } from "./ready.ts";

/** MTU of a new device in bytes, unless asked for another. */
const DEFAULT_MTU = 1500;

/** Fake namespaces that know each other by descriptor, so that a veth pair can span two. */
export class FakeNetwork {
  readonly #namespaces = new Map<number, FakeNamespace>();
  #nextFd = 1000;
  #countdown: number | undefined;
  #errno: number = ERRNO.EINVAL;
  /** Every operation that was asked for, as iproute2 would write it. */
  readonly history: string[] = [];

  /** Makes a namespace; the fake descriptor stands for it. */
  newNamespace(): { readonly fd: number } {
    const namespace = new FakeNamespace(this.#nextFd++);
    this.#namespaces.set(namespace.fd, namespace);
    return namespace;
  }

  /** Route netlink of a namespace. */
  open(netns: { readonly fd: number }): FakeRtnetlink {
    return new FakeRtnetlink(this, this.namespace(netns.fd));
  }

  /** Makes operation number `n` from now (0 = the next) fail, whatever it is; those after it work again. */
  failAt(n: number, errno: number = ERRNO.EINVAL): void {
    this.#countdown = n;
    this.#errno = errno;
  }

  /** Whether a failure that was asked for is still to come. */
  get failureIsPending(): boolean {
    return this.#countdown !== undefined;
  }

  /** @throws Refusal EINVAL for a descriptor of no fake namespace */
  namespace(fd: number): FakeNamespace {
    const found = this.#namespaces.get(fd);
    if (!found) throw new Refusal(ERRNO.EINVAL);
    return found;
  }

  /** Counts an operation. @throws Refusal when it is the one to fail */
  step(operation: Operation): void {
    this.history.push(describeOperation(operation));
    if (this.#countdown === undefined) return;
    if (this.#countdown-- > 0) return;
    this.#countdown = undefined;
    throw new Refusal(this.#errno);
  }
}

/** Route netlink without a kernel: the same interface with state, for tests. What it cannot tell is left out, not guessed. */
export class FakeRtnetlink implements Rtnetlink {
  readonly #network: FakeNetwork;
  readonly #state: FakeNamespace;
  readonly #origins = new OriginRecorder();

  constructor(network: FakeNetwork, state: FakeNamespace) {
    this.#network = network;
    this.#state = state;
  }

  get origins(): OriginIndex {
    return this.#origins;
  }

  apply(operations: readonly Operation[]): void {
    // The codec refuses what cannot be encoded before anything is sent; so does the fake.
    for (const operation of operations) encodeOperation(new MessageWriter(256), operation);
    const failures: NetlinkFailure[] = [];
    operations.forEach((operation, index) => {
      try {
        this.#network.step(operation);
        this.#origins.record(operation, this.#perform(operation));
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        failures.push({ index, errno: error.errno, reason: "" });
      }
    });
    const [first, ...rest] = failures;
    if (first) throw new NetlinkError([first, ...rest], (index) => describeOperation(operations[index] as Operation));
  }

  adopt(operations: readonly Operation[]): void {
    for (const operation of operations) this.#origins.record(operation);
  }

  links(): Link[] {
    return [...this.#state.links.values()].map((found) => shown(found));
  }

  link(ref: LinkRef): Link | undefined {
    const found = this.#state.find(ref);
    return found && shown(found);
  }

  addresses(index?: number): Address[] {
    return this.#each(index, ({ link, addresses }) => addresses.map((address) => ({ index: link.index, address })));
  }

  groups(index: number): string[] {
    const found = this.#state.links.get(index);
    if (!found?.link.up) return [];
    return found.addresses
      .filter((address) => address.includes(":"))
      .map((address) => solicitedNode(parseCidr(address).ip));
  }

  routes(filter: { table?: number; protocol?: number; index?: number } = {}): KernelRoute[] {
    const matches = (wanted: number | undefined, value: number | undefined) => wanted === undefined || wanted === value;
    return this.#state.routes.filter(
      (route) =>
        matches(filter.table, route.table) &&
        matches(filter.protocol, route.protocol) &&
        matches(filter.index, route.index),
    );
  }

  neighbours(index?: number): Neighbour[] {
    return this.#each(index, ({ neighbours }) => [...neighbours.values()]);
  }

  fdb(index?: number): FdbEntry[] {
    return this.#each(index, ({ fdb }) => [...fdb.values()]);
  }

  close(): void {}

  #each<T>(index: number | undefined, read: (found: FakeLink) => T[]): T[] {
    return [...this.#state.links.values()]
      .filter(({ link }) => index === undefined || link.index === index)
      .flatMap(read);
  }

  /** Changes the state; gives the index of a new device. @throws Refusal */
  #perform(operation: Operation): number | undefined {
    const state = this.#state;
    switch (operation.op) {
      case "add-link":
        return this.#addLink(operation);
      case "set-link":
        this.#setLink(operation);
        return;
      case "set-bridge-port":
        if (state.get(operation.index).link.master === 0) throw new Refusal(ERRNO.EINVAL);
        return;
      case "add-altname":
        return this.#addAltName(operation);
      case "delete-link":
        state.remove(operation.index);
        return;
      case "delete-group":
        return this.#deleteGroup(operation);
      case "add-address":
        state.addAddress(operation);
        return;
      case "delete-address":
        state.removeAddress(operation);
        return;
      case "add-route":
        state.addRoute(operation, operation.replace ?? false);
        return;
      case "delete-route":
        state.removeRoute(operation);
        return;
      case "add-neighbour":
        return this.#addNeighbour(operation);
      case "delete-neighbour":
        if (!state.get(operation.index).neighbours.delete(operation.ip)) throw new Refusal(ERRNO.ENOENT);
        return;
      case "add-fdb":
        return this.#addFdb(operation);
      case "delete-fdb":
        if (!state.get(operation.index).fdb.delete(operation.mac.toLowerCase())) throw new Refusal(ERRNO.ENOENT);
        return;
    }
  }

  #addAltName({ index, altName }: AddAltName): undefined {
    const state = this.#state;
    if (state.find({ name: altName })) throw new Refusal(ERRNO.EEXIST);
    state.update(index, { altNames: [...state.get(index).link.altNames, altName] });
  }

  #deleteGroup({ group }: DeleteGroup): undefined {
    const { links } = this.#state;
    const members = [...links.values()].filter(({ link }) => link.group === group);
    if (members.length === 0) throw new Refusal(ERRNO.ENODEV);
    for (const { link } of members) if (links.has(link.index)) this.#state.remove(link.index);
  }

  #addNeighbour({ index, ip, mac, state = "permanent" }: AddNeighbour): undefined {
    this.#state.get(index).neighbours.set(ip, { index, ip, mac: mac.toLowerCase(), state });
  }

  #addFdb({ index, mac, dst }: AddFdb): undefined {
    this.#state.get(index).fdb.set(mac.toLowerCase(), { index, mac: mac.toLowerCase(), dst });
  }

  #addLink({ name, index, mac, mtu, group, up, master, kind }: AddLink): number {
    const state = this.#state;
    if (master !== undefined && master !== 0) state.get(master);
    if (kind.type === "vxlan" && kind.link !== undefined) state.get(kind.link);
    const common = { mtu: mtu ?? DEFAULT_MTU, mac: mac ?? randomMac(), group: group ?? 0 };
    const shownKind =
      kind.type === "vxlan"
        ? { ...kind, port: kind.port ?? 8472, learning: kind.learning ?? false }
        : { type: kind.type };
    if (kind.type !== "veth") {
      return state.add({ ...common, name, index: index ?? 0, up: up ?? false, master: master ?? 0, kind: shownKind })
        .link.index;
    }
    const there = kind.peer.netns === undefined ? state : this.#network.namespace(kind.peer.netns);
    // The kernel makes the peer first: its name decides whether there is a pair at all.
    const peer = there.add({
      name: kind.peer.name,
      index: kind.peer.index ?? 0,
      mtu: kind.peer.mtu ?? DEFAULT_MTU,
      mac: kind.peer.mac ?? randomMac(),
      group: kind.peer.group ?? 0,
      kind: { type: "veth" },
    });
    try {
      const made = state.add({
        ...common,
        name,
        index: index ?? 0,
        up: up ?? false,
        master: master ?? 0,
        kind: shownKind,
      });
      made.peer = { namespace: there, index: peer.link.index };
      peer.peer = { namespace: state, index: made.link.index };
      made.link = { ...made.link, lower: peer.link.index };
      peer.link = { ...peer.link, lower: made.link.index };
      return made.link.index;
    } catch (error) {
      there.links.delete(peer.link.index);
      throw error;
    }
  }

  #setLink({ op: _, index, netns, ...changes }: SetLink): void {
    const state = this.#state;
    const found = state.get(index);
    if (changes.name !== undefined && changes.name !== found.link.name && state.find({ name: changes.name })) {
      throw new Refusal(ERRNO.EEXIST);
    }
    if (changes.master) state.get(changes.master);
    state.update(index, changes);
    if (changes.up === false) state.dropRoutes(index);
    if (netns === undefined) return;
    const there = this.#network.namespace(netns);
    if (there.find({ name: found.link.name })) throw new Refusal(ERRNO.EEXIST);
    state.links.delete(index);
    state.dropRoutes(index);
    const moved = there.add({ ...found.link, index: there.links.has(index) ? 0 : index, up: false, master: 0 });
    if (!found.peer) return;
    moved.peer = found.peer;
    const other = found.peer.namespace.links.get(found.peer.index);
    if (other) other.peer = { namespace: there, index: moved.link.index };
  }
}

/** A device with its carrier: the other end of a pair has to be up too. */
function shown({ link, peer }: FakeLink): Link {
  const other = peer?.namespace.links.get(peer.index)?.link;
  const carrier = link.up && (peer === undefined || other?.up === true);
  const operState = !link.up ? "down" : !carrier ? "lowerlayerdown" : "up";
  return { ...link, carrier, operState, ...(link.master === 0 ? {} : { port: carrier ? "forwarding" : "disabled" }) };
}
