import { PodwireError } from "#base/errors.ts";
import { STATE_MOUNT } from "#lab/cluster/index.ts";
import type { ProcessState } from "#lab/engine/index.ts";
import type { KnownMachine } from "./engineLink.ts";
import { ROUTER } from "./exposer.ts";

/**
 * A control plane that ends by itself before it ever answered will do so again.
 * @param disk folder of the host that the control plane has as its state; absent when it is the cluster's own
 */
export function controlPlaneFault(process: ProcessState, disk: string | undefined): PodwireError | undefined {
  const { name, state, reason = "" } = process;
  if (name !== "kube-apiserver" || state !== "restarting" || !reason.startsWith("exit code")) return undefined;
  // The machine's folder has another name outside.
  const words = disk === undefined ? reason : reason.replaceAll(STATE_MOUNT, disk);
  return new PodwireError("ControlPlane", `kube-apiserver ended with ${words}`);
}

/** The router has no power switch: its end is a fault of the lab. */
export function machineFault(name: string, machine: KnownMachine | undefined): PodwireError | undefined {
  if (name !== ROUTER || machine?.state !== "stopped") return undefined;
  return new PodwireError("MachineEnded", `machine ${name} ended (${machine.reason})`);
}
