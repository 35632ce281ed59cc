import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { errorMessage, PodwireError } from "#base/errors.ts";
import { parseIp } from "#base/ip.ts";
import { type Ipvs, type IpvsTimeouts, openIpvs } from "#kernel/ipvs/index.ts";
import { inNetns, type Netns, sysctlPath } from "#kernel/namespaces/index.ts";
import { NetlinkError, openRtnetlink, type Rtnetlink } from "#kernel/netlink/index.ts";
import { protocols } from "#kernel/nft/index.ts";

/** kube-proxy's default. */
export const DEFAULT_SCHEDULER = "rr";

/** What the mode works on: one network namespace. */
export interface IpvsNode {
  readonly ipvs: Ipvs;
  readonly rt: Rtnetlink;
  /** Gives a setting its value where it has another one. @throws PodwireError "CannotSet" in upstream's words */
  ensureSysctl(name: string, value: number): void;
  close(): void;
}

/** The configuration's section `ipvs`. */
export interface IpvsSettings {
  /** Empty: {@link DEFAULT_SCHEDULER}. */
  readonly scheduler?: string;
  /** Virtual servers in these networks are never removed. */
  readonly excludeCidrs?: readonly string[];
  /** The node answers ARP only for addresses of the device that is asked: arp_ignore 1, arp_announce 2. */
  readonly strictArp?: boolean;
  readonly timeouts?: IpvsTimeouts;
}

/** A virtual server that upstream's probe makes: TEST-NET-2 (RFC 5737), where nobody is. */
const PROBE = { ip: parseIp("198.51.100.0"), protocol: protocols.TCP, port: 20_000 } as const;

const IN_A_LAB = "a lab's nodes are in it with podwire up --privileged";

const CONNTRACK = "net/ipv4/vs/conntrack";

/**
 * Opens IPVS of a network namespace.
 * @param netns default: this process's
 * @throws PodwireError "NoIpvs" when the kernel has none, or not for this process; says what to do
 */
export function openIpvsNode(netns?: Pick<Netns, "fd">): IpvsNode {
  const there = <T>(work: () => T): T => (netns ? inNetns(netns, work) : work());
  const ipvs = there(openedIpvs);
  const rt = there(openRtnetlink);
  return {
    ipvs,
    rt,
    ensureSysctl: (name, value) => there(() => ensureSysctl(name, value)),
    close() {
      ipvs.close();
      rt.close();
    },
  };
}

/**
 * Finds out whether the mode can run here, as upstream's CanUseIPVSProxier: with the scheduler, by a virtual server that
 * is removed at once.
 * @throws PodwireError "NoIpvs"
 */
export function checkIpvs(scheduler: string, netns?: Pick<Netns, "fd">): void {
  const node = openIpvsNode(netns);
  try {
    if (!(netns ? inNetns(netns, hasConntrack) : hasConntrack())) {
      throw cannot(
        `there is no sysctl ${CONNTRACK}: it takes a kernel with CONFIG_IP_VS_NFCT, and before Linux 6.10 a network namespace of the initial user namespace; ${IN_A_LAB}`,
      );
    }
    probe(node.ipvs, scheduler || DEFAULT_SCHEDULER);
  } finally {
    node.close();
  }
}

/** Settings of the kernel, as upstream's ipvs mode makes them. @throws PodwireError "CannotSet" */
export function prepareNode(node: IpvsNode, { strictArp, timeouts }: IpvsSettings): void {
  node.ensureSysctl(CONNTRACK, 1);
  // Later kernels do by themselves what this was for (kubernetes/kubernetes#93297): left as it is.
  if (isKernelBefore(5, 9)) node.ensureSysctl("net/ipv4/vs/conn_reuse_mode", 0);
  node.ensureSysctl("net/ipv4/vs/expire_nodest_conn", 1);
  node.ensureSysctl("net/ipv4/vs/expire_quiescent_template", 1);
  node.ensureSysctl("net/ipv4/ip_forward", 1);
  if (strictArp) {
    node.ensureSysctl("net/ipv4/conf/all/arp_ignore", 1);
    node.ensureSysctl("net/ipv4/conf/all/arp_announce", 2);
  }
  if (timeouts && timeouts.tcp + timeouts.tcpFin + timeouts.udp > 0) node.ipvs.setTimeouts(timeouts);
}

function openedIpvs(): Ipvs {
  try {
    return openIpvs();
  } catch (error) {
    if (!(error instanceof NetlinkError) || error.code !== "ENOENT") throw error;
    throw cannot(
      "IPVS not supported by the kernel: it has no netlink family IPVS. Load the module ip_vs (modprobe ip_vs), or take a kernel with CONFIG_IP_VS",
    );
  }
}

function probe(ipvs: Ipvs, scheduler: string): void {
  try {
    // One that is there shows it; and the probe would be in the way of traffic.
    if (ipvs.servers().some((server) => server.scheduler === scheduler)) return;
    ipvs.apply([{ op: "add-server", server: { ...PROBE, scheduler } }]);
    ipvs.apply([{ op: "delete-server", server: PROBE }]);
  } catch (error) {
    throw cannot(reasonOf(error, scheduler));
  }
}

function reasonOf(error: unknown, scheduler: string): string {
  const code = error instanceof NetlinkError ? error.code : "";
  if (code === "ENOENT")
    return `the kernel has no scheduler ${JSON.stringify(scheduler)}: load the module ip_vs_${scheduler}, or set ipvs.scheduler to another`;
  if (code === "EPERM")
    return `IPVS is root's in the initial user namespace, in which this process is not; ${IN_A_LAB}: EPERM`;
  return errorMessage(error);
}

function cannot(why: string): PodwireError {
  return new PodwireError("NoIpvs", `can't use the IPVS proxier: ${why}; or choose the mode nftables`);
}

function hasConntrack(): boolean {
  return existsSync(sysctlPath(CONNTRACK));
}

function ensureSysctl(name: string, value: number): void {
  try {
    const path = sysctlPath(name);
    if (readFileSync(path, "utf8").trim() !== String(value)) writeFileSync(path, String(value));
  } catch (error) {
    throw new PodwireError("CannotSet", `can't set sysctl ${name} to ${value}: ${errorMessage(error)}`);
  }
}

function isKernelBefore(major: number, minor: number): boolean {
  const [ownMajor = 0, ownMinor = 0] = release().split(".").map(Number);
  return ownMajor < major || (ownMajor === major && ownMinor < minor);
}
