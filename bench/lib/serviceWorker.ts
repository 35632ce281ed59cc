// One measurement, in the network namespace that it was started in: node serviceWorker.ts '{"mode":…}'
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { childrenCpuMs, cpuMs, proportionalSize } from "./processes.ts";
import { clusterIpOf, SERVICE_PORT, targetOf } from "./serviceLoad.ts";
import { type Followed, type ModeTask, type ServiceRules, startMode } from "./serviceModes.ts";
import type { PacketCost } from "./servicePackets.ts";
import { packetCost, prepareNetwork } from "./servicePackets.ts";
import { type Relaying, relayedCost, startRelay, stopRelay } from "./serviceRelay.ts";

/** What to measure. */
export interface ServiceTask extends ModeTask {
  /** How often one endpoint is changed, at most. */
  readonly changes: number;
  /** It is the process that relays, for another that measures. */
  readonly isRelay?: true;
}

/** What was measured: times of the first sync in s, of each change in ms; memory in MB. */
export interface ServiceFigures {
  readonly firstSync: number;
  /** CPU time of the first sync, in s: the process's own, or of the peer's program. */
  readonly cpu: number;
  readonly changes: readonly number[];
  /** CPU time of a change, in ms. As all that was not measured, NaN, which JSON has as null. */
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

/** No change is begun after this time, in ms: a peer's may take ten seconds each. */
const CHANGES_MS = 20_000;
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
    const changeCpu = (usedCpu(process.pid) - changesBefore) / changes.length;
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
  const until = performance.now() + CHANGES_MS;
  for (let turn = 1; turn <= changes && performance.now() < until; turn++)
    times.push(await rules.change((turn * 7919) % services, turn));
  return times;
}

/** The mode in which a process relays: packets need one of their own, which is free while others are sent. */
async function measureRelayed(task: ServiceTask): Promise<ServiceFigures> {
  prepareNetwork();
  const { relay, figures } = await startRelay(task);
  try {
    const direct = packetCost("10.1.0.0", 8080);
    const packets = await relayedCost(clusterIpOf(targetOf(task)), SERVICE_PORT, relay.pid ?? 0);
    const { NaN: unknown } = Number;
    return { ...figures, changes: [], changeCpu: unknown, residentBefore: unknown, kernel: unknown, packets, direct };
  } finally {
    await stopRelay(relay);
  }
}

/** Relays until nobody asks for it any more. */
async function serve(task: ServiceTask): Promise<void> {
  const cpuBefore = cpuMs(process.pid);
  const rules = await startMode(task);
  const cpu = (cpuMs(process.pid) - cpuBefore) / 1000;
  const relaying: Relaying = {
    firstSync: rules.firstSync / 1000,
    cpu,
    resident: proportionalSize(process.pid) / 1000,
  };
  process.stdout.write(`${JSON.stringify(relaying)}\n`);
  process.stdin.resume();
  await once(process.stdin, "end");
  await rules.stop();
}

function kernelMb(): number {
  const info = readFileSync("/proc/meminfo", "utf8");
  const field = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB`, "m").exec(info)?.[1] ?? 0);
  return (field("Slab") + field("VmallocUsed") + field("Percpu")) / 1000;
}

const task: ServiceTask = JSON.parse(process.argv[2] ?? "");
if (task.isRelay) await serve(task);
else {
  const figures = await (task.mode === "podwire-userspace" ? measureRelayed(task) : measure(task));
  process.stdout.write(JSON.stringify(figures));
}
