import { randomUUID } from "node:crypto";
import { readFileSync, statfsSync } from "node:fs";
import { availableParallelism, release, totalmem } from "node:os";
import type { MachineFacts } from "./object.ts";

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined;
  }
}

function osImage(): string {
  return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(read("/etc/os-release") ?? "")?.[1] ?? "Linux";
}

/** Reads the facts about this machine. A container's machine has no id of its own until it is given one. */
export function machineFacts(): MachineFacts {
  const machineId = read("/etc/machine-id") || randomUUID().replaceAll("-", "");
  const disk = statfsSync("/var");
  return {
    machineId,
    systemUuid: read("/sys/class/dmi/id/product_uuid") ?? machineId,
    bootId: read("/proc/sys/kernel/random/boot_id") ?? "",
    kernelVersion: release(),
    osImage: osImage(),
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
    swapBytes: 1024 * Number(/^SwapTotal:\s+(\d+) kB$/m.exec(read("/proc/meminfo") ?? "")?.[1] ?? 0),
    diskBytes: disk.blocks * disk.bsize,
  };
}
