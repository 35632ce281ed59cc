// One measurement, in the network namespace that it was started in: node serviceWorker.ts '{"mode":…}'
import { readFileSync } from "node:fs";
import { childrenCpuMs, cpuMs, proportionalSize } from "./processes.ts";
import { clusterIpOf, SERVICE_PORT, targetOf } from "./serviceLoad.ts";
import { type Followed, type ModeTask, type ServiceRules, startMode } from "./serviceModes.ts";
import type { PacketCost } from "./servicePackets.ts";
import { packetCost, prepareNetwork } from "./servicePackets.ts";

/** What to measure. */
export interface ServiceTask extends ModeTask {
  /** How often one endpoint is changed. */
  readonly changes: number;
}

/** What was measured: times of the first sync in s, of each change in ms; memory in MB. */
export interface ServiceFigures {
  readonly firstSync: number;
  /** CPU time of the first sync, in s: the process's own, or of the peer's program. */
  readonly cpu: number;
  readonly changes: readonly number[];
  /** CPU time of a change, in ms. */
  readonly changeCpu: number;
  /** Proportional set size of this process after the first sync, and how much of it was there before. */
  readonly resident: number;
  readonly residentBefore: number;
  /** What the kernel's slabs and page allocations of rules have grown by: the machine's, others count in it too. */
  readonly kernel: number;
  /** A thousand changes a second. */
  readonly followed?: Followed;
  readonly packets: PacketCost;
  /** The same to an endpoint's own address, with the same rules in effect. */
  readonly direct: PacketCost;
}

const CHANGES_PER_SECOND = 1000;
const FOLLOWED_SECONDS = 5;

/** Time for garbage to be collected before memory is looked at, in ms. */
const SETTLING = 1000;

async function measure(task: ServiceTask): Promise<ServiceFigures> {
  prepareNetwork();
  const residentBefore = proportionalSize(process.pid) / 1000;
  const kernelBefore = kernelMb();
  const usedCpu = task.mode.startsWith("podwire") ? cpuMs : childrenCpuMs;
  const cpuBefore = usedCpu(process.pid);
  const rules = await startMode(task);
  const cpu = (usedCpu(process.pid) - cpuBefore) / 1000;
  try {
    await new Promise((done) => setTimeout(done, SETTLING));
    const resident = proportionalSize(process.pid) / 1000;
    const kernel = kernelMb() - kernelBefore;
    const direct = packetCost("10.1.0.0", 8080);
    const packets = packetCost(clusterIpOf(targetOf(task)), SERVICE_PORT);
    const changesBefore = usedCpu(process.pid);
    const changes = await changeEndpoints(rules, task);
    const changeCpu = (usedCpu(process.pid) - changesBefore) / task.changes;
    const followed = await rules.follow?.(CHANGES_PER_SECOND, FOLLOWED_SECONDS);
    const firstSync = rules.firstSync / 1000;
    const figures = { firstSync, cpu, changes, changeCpu, resident, residentBefore, kernel, packets, direct };
    return { ...figures, ...(followed && { followed }) };
  } finally {
    await rules.stop();
  }
}

async function changeEndpoints(rules: ServiceRules, { changes, services }: ServiceTask): Promise<number[]> {
  const times: number[] = [];
  for (let turn = 1; turn <= changes; turn++) times.push(await rules.change((turn * 7919) % services, turn));
  return times;
}

function kernelMb(): number {
  const info = readFileSync("/proc/meminfo", "utf8");
  const field = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB`, "m").exec(info)?.[1] ?? 0);
  return (field("Slab") + field("VmallocUsed") + field("Percpu")) / 1000;
}

const task: ServiceTask = JSON.parse(process.argv[2] ?? "");
process.stdout.write(JSON.stringify(await measure(task)));
