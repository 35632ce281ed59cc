import { spawn, spawnSync } from "node:child_process";
import { Client } from "#api/index.ts";
import { parseCidr, parseIp } from "#base/ip.ts";
import { createLogger } from "#base/log.ts";
import { type Nftables, openNftables } from "#kernel/nft/index.ts";
import {
  ebpfBackend,
  type Iptables,
  iptablesBackend,
  nftablesBackend,
  type ServiceBackend,
  serviceFrontends,
  startServiceProxy,
  type TrafficSettings,
  userspaceBackend,
} from "#services/index.ts";
import { type NftPort, nftEndpointChange, nftFirstSync } from "./kubeProxyNft.ts";
import { OwnGroup } from "./ownGroup.ts";
import {
  addressesOf,
  clusterIpOf,
  type Load,
  LoadApi,
  NAMESPACE,
  NODE_NAME,
  POD_CIDR,
  portName,
  protocolsOf,
  SERVICE_CIDR,
  SERVICE_PORT,
  serviceName,
  serviceObject,
  sliceObject,
  TARGET_PORT,
} from "./serviceLoad.ts";

/**
 * Podwire's proxy in its modes nftables, ebpf and userspace, or the rules of kube-proxy's modes loaded by their programs.
 * Our iptables mode has the latter's rules.
 */
export type ServiceMode =
  | "podwire"
  | "podwire-ebpf"
  | "podwire-userspace"
  | "kube-proxy-nftables"
  | "kube-proxy-iptables";

/** Rules that are in effect. */
export interface ServiceRules {
  /** What the first sync took, in ms. */
  readonly firstSync: number;
  /** Another first endpoint for a Service. @returns ms until it is in the kernel */
  change(index: number, turn: number): Promise<number>;
  /** Changes so many Services' first endpoints a second for some seconds. Absent: not asked of a peer's programs. */
  follow?(perSecond: number, seconds: number): Promise<Followed>;
  stop(): Promise<void>;
}

/** How changes that came one after the other were followed. */
export interface Followed {
  /** From an event to the commit that has it, in ms. */
  readonly delays: readonly number[];
  /** CPU time of the process while they came, as a share of the time. */
  readonly cpuShare: number;
}

/** A load, and how long a program of a peer may take, in ms. */
export interface ModeTask extends Load {
  readonly mode: ServiceMode;
  readonly limitMs: number;
  /** Where the load's events are (`writeEvents`). */
  readonly events: string;
}

const NODE_ADDRESS = "10.0.0.1";
const traffic: TrafficSettings = {
  nodeName: NODE_NAME,
  localTraffic: { kind: "cidrs", cidrs: [parseCidr(POD_CIDR)] },
};
/** Longer than the least time between two syncs, in ms: a change is then taken up at once. */
const BETWEEN_CHANGES = 15;

/** Puts the load into effect in this network namespace. @throws Error when a program fails or takes too long */
export function startMode(task: ModeTask): Promise<ServiceRules> {
  if (task.mode === "podwire") return startPodwire(task, (nft) => nftablesBackend({ ...traffic, nft }));
  if (task.mode === "podwire-ebpf") return startEbpf(task);
  if (task.mode === "podwire-userspace") return startPodwire(task, (nft) => userspaceBackend({ ...traffic, nft }));
  return task.mode === "kube-proxy-nftables" ? startNft(task) : startIptables(task);
}

/** This process alone is the node: what it measures is translated, and nothing else of the machine. */
async function startEbpf(task: ModeTask): Promise<ServiceRules> {
  const group = OwnGroup.enter();
  try {
    const rules = await startPodwire(task, (nft) => ebpfBackend({ ...traffic, nft, group: group.folder }));
    const stop = async () => {
      await rules.stop();
      group.leave();
    };
    return { ...rules, stop };
  } catch (error) {
    group.leave();
    throw error;
  }
}

/** From the first event that the proxy gets to the commit. */
async function startPodwire(
  { events, ...load }: ModeTask,
  backend: (nft: Nftables) => ServiceBackend,
): Promise<ServiceRules> {
  const api = new LoadApi(load, events);
  const nft = openNftables();
  /** Of the changes that wait for a commit. */
  const queued: number[] = [];
  let synced: (delays: number[]) => void = () => {};
  const proxy = startServiceProxy({
    client: new Client(api),
    nodeName: NODE_NAME,
    nodeAddresses: [parseIp(NODE_ADDRESS)],
    backend: backend(nft),
    log: createLogger("proxy", { write: (line) => void (/"error"/.test(line) && process.stderr.write(line)) }),
    signal: new AbortController().signal,
    observers: [
      {
        queued: () => void queued.push(performance.now()),
        synced: () => synced(queued.splice(0).map((at) => performance.now() - at)),
      },
    ],
  });
  await proxy.synced;
  return {
    firstSync: performance.now() - (api.firstEventAt ?? 0),
    change: async (index, turn) => {
      await new Promise((done) => setTimeout(done, BETWEEN_CHANGES));
      const done = new Promise<number>((resolve) => (synced = ([delay = 0]) => resolve(delay)));
      api.send(api.changed(index, turn));
      return done;
    },
    follow: (perSecond, seconds) =>
      follow(api, load, {
        perSecond,
        seconds,
        onSync: (listener) => (synced = listener),
      }),
    stop: async () => {
      await proxy.stop();
      nft.close();
    },
  };
}

/** Time for a burst of changes, in ms: they come in so many bursts. */
const BURST_MS = 10;
const FIRST_TURN = 1000;

interface Following {
  readonly perSecond: number;
  readonly seconds: number;
  readonly onSync: (listener: (delays: number[]) => void) => void;
}

/** The events are made before: only following them counts. */
async function follow(api: LoadApi, load: Load, { perSecond, seconds, onSync }: Following): Promise<Followed> {
  const count = perSecond * seconds;
  const changes = Array.from({ length: count }, (_, i) => api.changed((i * 7919) % load.services, FIRST_TURN + i));
  const delays: number[] = [];
  const done = new Promise<void>((resolve) => {
    onSync((more) => {
      delays.push(...more);
      if (delays.length >= count) resolve();
    });
  });
  const started = performance.now();
  const cpu = process.cpuUsage();
  let sent = 0;
  const timer = setInterval(() => {
    const due = Math.min(count, Math.floor(((performance.now() - started) / 1000) * perSecond));
    while (sent < due) api.send(changes[sent++] as Buffer);
    if (sent === count) clearInterval(timer);
  }, BURST_MS);
  await done;
  const { user, system } = process.cpuUsage(cpu);
  return { delays, cpuShare: (user + system) / 1000 / (performance.now() - started) };
}

/** kube-proxy's rules through `nft -f`. What kube-proxy itself needs before that does not count. */
async function startNft({ limitMs, ...load }: ModeTask): Promise<ServiceRules> {
  const nft = (text: string) => runProgram("nft", ["-f", "-"], text, limitMs);
  const ports = Array.from({ length: load.services }, (_, i) => nftPorts(load, i, 0)).flat();
  const node = { podCidr: POD_CIDR, serviceCidr: SERVICE_CIDR, address: NODE_ADDRESS };
  const current = new Map<number, number>();
  return {
    firstSync: await nft(nftFirstSync(node, ports)),
    change: (index, turn) => {
      const before = nftPorts(load, index, current.get(index) ?? 0);
      current.set(index, turn);
      const after = nftPorts(load, index, turn);
      return nft(after.map((port, i) => nftEndpointChange(before[i] as NftPort, port)).join(""));
    },
    stop: async () => {},
  };
}

function nftPorts(load: Load, index: number, turn: number): NftPort[] {
  return protocolsOf(load, index).map((protocol) => ({
    namespace: NAMESPACE,
    name: serviceName(index),
    protocol: protocol === "TCP" ? "tcp" : "udp",
    portName: portName(protocol),
    clusterIp: clusterIpOf(index),
    port: SERVICE_PORT,
    endpoints: addressesOf(load, index, turn),
    targetPort: TARGET_PORT,
  }));
}

/** kube-proxy's rules through `iptables-restore`: the text is that of the iptables mode, whose form is kube-proxy's. */
async function startIptables({ limitMs, ...load }: ModeTask): Promise<ServiceRules> {
  let took = 0;
  const program = restoreProgram();
  const restore = async (family: 4 | 6, text: string): Promise<void> => {
    // Its forms for IPv6 hold no Service of the load.
    if (family === 4) took = await runProgram(program, ["-w", "5", "--noflush"], text, limitMs);
  };
  const iptables: Iptables = {
    ...{ version: "", save: async () => "", hasChain: async () => true, setSysctl: () => {} },
    restore,
  };
  const backend = iptablesBackend({ ...traffic, iptables });
  const node = { name: NODE_NAME, addresses: [parseIp(NODE_ADDRESS)] };
  const set = (index: number, turn: number) => {
    const frontends = serviceFrontends(serviceObject(load, index), [sliceObject(load, index, turn)], node);
    backend.setService(`${NAMESPACE}/${serviceName(index)}`, frontends);
  };
  backend.setNode(node);
  for (let i = 0; i < load.services; i++) set(i, 0);
  await backend.readBack();
  await backend.commit();
  return {
    firstSync: took,
    change: async (index, turn) => {
      set(index, turn);
      await backend.commit();
      return took;
    },
    stop: () => backend.close(),
  };
}

/** The flavour that loads large texts faster, where kernel and machine have it. */
function restoreProgram(): string {
  const { status } = spawnSync("iptables-legacy", ["-t", "nat", "-S"], { stdio: "ignore" });
  return status === 0 ? "iptables-legacy-restore" : "iptables-restore";
}

/** @returns how long the program ran, in ms */
function runProgram(program: string, args: readonly string[], input: string, limitMs: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const child = spawn(program, args, { stdio: ["pipe", "ignore", "pipe"], timeout: limitMs, killSignal: "SIGKILL" });
    let words = "";
    child.stderr.on("data", (data: Buffer) => {
      if (words.length < 2000) words += data.toString();
    });
    // A program that fails at once does not read: its own words say why.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code === 0) return resolve(performance.now() - started);
      reject(new Error(signal ? `${program} took more than ${limitMs / 1000} s` : `${program}: ${words.trim()}`));
    });
  });
}
