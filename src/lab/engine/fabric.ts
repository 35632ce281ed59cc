import { type Netns, newNetns, setSysctls } from "#kernel/namespaces/index.ts";
import { type Operation, openRtnetlink, type Rtnetlink, waitUntilReady } from "#kernel/netlink/index.ts";
import { baseSysctls, type Interface, type MachineModel, type Topology } from "#lab/topology/index.ts";

/** Index of the loopback device in every namespace (net/core/dev.c gives it the first). */
const LOOPBACK = 1;

/**
 * Index of the first interface that we make in a namespace: 2, unless modules such as ipip or sit put devices of their
 * own into every new namespace (net.core.fb_tunnels_only_for_init_net).
 */
function firstIndex(rtnl: Rtnetlink): number {
  return Math.max(LOOPBACK, ...rtnl.links().map((link) => link.index)) + 1;
}

/** The network namespace of a machine and the way to change it. */
export interface MachineNetwork {
  readonly netns: Netns;
  readonly rtnl: Rtnetlink;
  /** Indexes of the other ends of its cables. */
  readonly ports: readonly number[];
}

/**
 * The cables and switches of a lab: one network namespace with a bridge for each segment. A packet on an underlay
 * segment can be captured there.
 */
export class Fabric {
  readonly netns: Netns;
  readonly #rtnl: Rtnetlink;
  readonly #bridges = new Map<string, number>();
  #nextPort = 100;

  /** Makes the segments. @throws SysError, NetlinkError */
  constructor(topology: Topology) {
    this.netns = newNetns();
    // A switch has no addresses of its own, nor does it see what it forwards as an IP packet.
    setSysctls(this.netns, { "net.ipv6.conf.default.disable_ipv6": "1", "net.ipv6.conf.all.disable_ipv6": "1" });
    this.#rtnl = openRtnetlink(this.netns);
    const operations: Operation[] = [{ op: "set-link", index: LOOPBACK, up: true }];
    const first = firstIndex(this.#rtnl);
    for (const [i, segment] of topology.segments.entries()) {
      const index = first + i;
      this.#bridges.set(segment.name, index);
      operations.push({
        op: "add-link",
        name: segment.name.slice(0, 15),
        index,
        mtu: segment.mtu,
        kind: { type: "bridge" },
        up: true,
      });
    }
    this.#rtnl.apply(operations);
  }

  /** Makes a machine's network namespace, plugs its cables in and configures it. @throws SysError, NetlinkError */
  connect(machine: MachineModel): MachineNetwork {
    const netns = newNetns();
    setExistingSysctls(netns, { ...baseSysctls, ...machine.sysctls });
    const rtnl = openRtnetlink(netns);
    const first = firstIndex(rtnl);
    const ports = machine.interfaces.map((device, i) => this.#plug(machine, device, first + i, netns));
    rtnl.apply([
      { op: "set-link", index: LOOPBACK, up: true },
      ...machine.interfaces.flatMap((device, i) => configure(device, first + i)),
    ]);
    rtnl.apply(
      machine.routes.map(({ to, via }) => ({
        op: "add-route",
        dst: to === "default" ? (via.includes(":") ? "::/0" : "0.0.0.0/0") : to,
        via,
        protocol: STATIC,
      })),
    );
    return { netns, rtnl, ports };
  }

  /** Unplugs a machine and lets go of its network namespace, which ends with the last process in it. */
  disconnect({ netns, rtnl, ports }: MachineNetwork): void {
    this.#rtnl.apply(ports.map((index) => ({ op: "delete-link", index })));
    rtnl.close();
    netns.close();
  }

  /**
   * Waits until packets pass machines' cables and every segment: what is lost before, an ARP request, is asked again
   * only a second later.
   */
  async ready(machines: readonly MachineNetwork[]): Promise<void> {
    const ports = machines.flatMap((machine) => machine.ports);
    await waitUntilReady([{ rtnl: this.#rtnl, links: [...ports, ...this.#bridges.values()] }]);
  }

  #plug(machine: MachineModel, device: Interface, index: number, netns: Netns): number {
    const master = this.#bridges.get(device.segment);
    if (master === undefined) throw new Error(`no segment ${device.segment} for ${machine.name} ${device.name}`);
    const port = this.#nextPort++;
    this.#rtnl.apply([
      {
        op: "add-link",
        name: `p${port}`,
        index: port,
        master,
        up: true,
        kind: { type: "veth", peer: { name: device.name, index, mac: device.mac, netns: netns.fd } },
      },
    ]);
    return port;
  }
}

/** Route protocol of routes that the administrator set (RTPROT_STATIC, linux/rtnetlink.h). */
const STATIC = 4;

function configure(device: Interface, index: number): Operation[] {
  return [
    ...device.altnames.map((altName): Operation => ({ op: "add-altname", index, altName })),
    ...device.addresses.map((address): Operation => ({ op: "add-address", index, address })),
    { op: "set-link", index, up: true },
  ];
}

/** Settings that name ids: a user namespace of a single id knows no other. */
const SINGLE_ID: Readonly<Record<string, string>> = { "net.ipv4.ping_group_range": "0 0" };

/** Sets each sysctl that this kernel has; settings of modules that are not loaded are left out. */
function setExistingSysctls(netns: Netns, settings: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(settings)) {
    try {
      setSysctls(netns, { [name]: value });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const narrower = SINGLE_ID[name];
      if (code === "EINVAL" && narrower !== undefined) setSysctls(netns, { [name]: narrower });
      else if (code !== "ENOENT") throw error;
    }
  }
}
