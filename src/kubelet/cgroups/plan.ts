import type { Container, Pod, ResourceRequirements } from "#api/index.ts";
import { parseQuantity, scaledQuantity } from "#base/quantity.ts";
import { qosClass } from "../status/qos.ts";

/** A group to make. */
export interface GroupPlan {
  /** Below the node's own group, such as `kubepods/burstable/pod…`. */
  readonly path: string;
  /** By the kernel's file names. */
  readonly settings: Readonly<Record<string, string>>;
}

/** The group of all pods. */
export const PODS_GROUP = "kubepods";
/** Groups of classes within it; Guaranteed pods have none. */
export const CLASS_GROUPS = { Burstable: `${PODS_GROUP}/burstable`, BestEffort: `${PODS_GROUP}/besteffort` } as const;

/** kubelet/cm/helpers_linux.go: what a shares value may be, and the length of a period in µs with the least quota. */
const MIN_SHARES = 2;
const MAX_SHARES = 262_144;
const PERIOD_US = 100_000;
const MIN_QUOTA_US = 1000;

/** cpu.weight for a request in thousandths of a processor (MilliCPUToShares, getCPUWeight). */
export function cpuWeight(milli: number): number {
  const shares = Math.min(Math.max(Math.floor((milli * 1024) / 1000), MIN_SHARES), MAX_SHARES);
  return 1 + Math.floor(((shares - MIN_SHARES) * 9999) / (MAX_SHARES - MIN_SHARES));
}

/** cpu.max for a limit in thousandths of a processor (MilliCPUToQuota); 0 is none. */
export function cpuMax(milli: number): string {
  const quota = Math.max(Math.floor((milli * PERIOD_US) / 1000), MIN_QUOTA_US);
  return `${milli === 0 ? "max" : quota} ${PERIOD_US}`;
}

/** What a container or a pod asks for and may have; 0: not said. Processor in thousandths, memory in bytes. */
interface Amounts {
  readonly cpuRequest: number;
  readonly cpuLimit: number;
  readonly memoryLimit: number;
}

const NAMES = ["cpuRequest", "cpuLimit", "memoryLimit"] as const;

function amount(text: string | number | undefined, scale: number): number {
  return text === undefined ? 0 : Number(scaledQuantity(parseQuantity(String(text)), scale));
}

function amountsOf({ requests, limits }: ResourceRequirements = {}): Amounts {
  return {
    cpuRequest: amount(requests?.["cpu"] ?? limits?.["cpu"], -3),
    cpuLimit: amount(limits?.["cpu"], -3),
    memoryLimit: amount(limits?.["memory"], 0),
  };
}

function combine(a: Amounts, b: Amounts, how: (a: number, b: number) => number): Amounts {
  return {
    cpuRequest: how(a.cpuRequest, b.cpuRequest),
    cpuLimit: how(a.cpuLimit, b.cpuLimit),
    memoryLimit: how(a.memoryLimit, b.memoryLimit),
  };
}

const add = (a: number, b: number): number => a + b;
const NONE: Amounts = { cpuRequest: 0, cpuLimit: 0, memoryLimit: 0 };

/**
 * A pod's amounts (component-helpers/resource, PodRequests and PodLimits): of all that run together, or of the init
 * container that takes more beside the sidecars before it. A limit is the pod's only when each container has one.
 */
function podAmounts({ spec }: Pod): Amounts {
  let sidecars = NONE;
  let initial = NONE;
  for (const { resources, restartPolicy } of spec.initContainers ?? []) {
    const own = combine(sidecars, amountsOf(resources), add);
    if (restartPolicy === "Always") sidecars = own;
    initial = combine(initial, own, Math.max);
  }
  const together = spec.containers.reduce((sum, { resources }) => combine(sum, amountsOf(resources), add), sidecars);
  const all = [...(spec.initContainers ?? []), ...spec.containers].map(({ resources }) => amountsOf(resources));
  const isBound = (name: (typeof NAMES)[number]) => all.every((one) => one[name] > 0);
  const most = combine(together, initial, Math.max);
  const summed = {
    cpuRequest: most.cpuRequest,
    cpuLimit: isBound("cpuLimit") ? most.cpuLimit : 0,
    memoryLimit: isBound("memoryLimit") ? most.memoryLimit : 0,
  };
  // What is said of the pod itself goes before.
  return combine(amountsOf(spec.resources), summed, (own, sum) => own || sum);
}

function settingsOf({ cpuRequest, cpuLimit, memoryLimit }: Amounts): Record<string, string> {
  return {
    "cpu.weight": String(cpuWeight(cpuRequest)),
    "cpu.max": cpuMax(cpuLimit),
    "memory.max": memoryLimit === 0 ? "max" : String(memoryLimit),
  };
}

/** What a pod asks of the processor, in thousandths. */
export function podCpuRequest(pod: Pod): number {
  return podAmounts(pod).cpuRequest;
}

/** The group of a pod. @param pidsLimit most processes and threads in it (podPidsLimit); absent: any number */
export function podGroup(pod: Pod, pidsLimit?: number): GroupPlan {
  const qos = qosClass(pod);
  const parent = qos === "Guaranteed" ? PODS_GROUP : CLASS_GROUPS[qos];
  const pids = pidsLimit === undefined ? {} : { "pids.max": String(pidsLimit) };
  return { path: `${parent}/pod${pod.metadata.uid}`, settings: { ...settingsOf(podAmounts(pod)), ...pids } };
}

/**
 * The group of one run of a container, in its pod's. All of it ends when its memory does not suffice, as upstream's
 * (singleProcessOOMKill is false), and nothing of it goes to swap (memorySwap: NoSwap).
 */
export function containerGroup(pod: Pod, { resources }: Container, id: string): GroupPlan {
  const settings = { ...settingsOf(amountsOf(resources)), "memory.oom.group": "1", "memory.swap.max": "0" };
  return { path: `${podGroup(pod).path}/${id}`, settings };
}

/** Where a process is below the node's group, from its /proc/PID/cgroup; undefined when it is in no pod's. */
export function pathOfProcess(text: string): string | undefined {
  return new RegExp(`^0::.*?/(${PODS_GROUP}/\\S+/[0-9a-f]{64})$`, "m").exec(text)?.[1];
}
