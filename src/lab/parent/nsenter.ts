import { execFile } from "node:child_process";
import { readlinkSync } from "node:fs";
import { userInfo } from "node:os";
import { hasCode, PodwireError } from "#base/errors.ts";
import { WITHOUT_MACHINE_RIGHTS } from "#lab/stage/index.ts";
import type { ClusterGroup } from "./clusterGroup.ts";
import type { EngineLink } from "./engineLink.ts";

/**
 * Arguments of nsenter(1) to enter all namespaces of a process, before the command.
 * @param cgroup whether that process has a namespace of control groups that the caller may enter
 * @param user uid of the caller when the process lives in a user namespace of that user's: root becomes its root by
 *   setuid, anyone else is its root already
 */
function nsenterArguments(pid: number, cgroup: boolean, user?: number): [string, ...string[]] {
  const namespaces = ["--mount", "--uts", "--ipc", "--net", "--pid", ...(cgroup ? ["--cgroup"] : [])];
  if (user !== undefined)
    namespaces.push("--user", ...(user === 0 ? ["--setuid", "0", "--setgid", "0"] : ["--preserve-credentials"]));
  return ["nsenter", "--target", String(pid), ...namespaces, "--"];
}

/**
 * What runs a command on a machine, before the command itself. It may do there what root may, except reboot(2), which
 * would end the machine and the lab with it, and what acts on the whole computer.
 * @param user uid of the caller
 * @throws PodwireError "Stopped" when the lab has ended
 */
export function machineCommand(place: MachinePlace, user: number): [string, ...string[]] {
  const { lab, machine, cgroup: group } = place;
  // The lab of an ordinary user has none of its own (lab/stage, Bounds).
  const cgroup = user === 0;
  const outer = nsenterArguments(lab, cgroup, user === 0 && isOfOurs(lab) ? undefined : user);
  const [program, ...rest] = [...outer, ...nsenterArguments(machine, cgroup), ...WITHOUT_MACHINE_RIGHTS];
  return group === undefined ? [program, ...rest] : ["/bin/sh", "-c", JOIN_SCRIPT, "sh", group, program, ...rest];
}

/** Where a machine is entered. */
export interface MachinePlace {
  /** Pid of the lab's init as the host sees it. */
  readonly lab: number;
  /** Pid of the machine's init as the lab sees it. */
  readonly machine: number;
  /** Folder of the control group that the machine's processes are in, in a privileged cluster. */
  readonly cgroup?: string;
}

/** Joins a control group first, as the machine's own processes have. Where there is none any more, the machine is gone. */
const JOIN_SCRIPT = 'echo $$ >"$1/cgroup.procs" || exit 125; shift; exec "$@"';

/** Whether a lab is in our user namespace: there is none to enter then. @throws PodwireError "Stopped" */
function isOfOurs(lab: number): boolean {
  try {
    return readlinkSync(`/proc/${lab}/ns/user`) === readlinkSync("/proc/self/ns/user");
  } catch (error) {
    if (hasCode(error, "ENOENT")) throw new PodwireError("Stopped", "the cluster has ended", {}, error);
    throw error;
  }
}

/** What a command on a machine printed and how it ended. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Pid of the init of a machine that has power, as the lab sees it. @throws PodwireError "NotFound", "Stopped" */
function initOf({ machines }: EngineLink, name: string): number {
  const machine = machines.get(name);
  if (!machine) throw new PodwireError("NotFound", `no machine ${name}; there are ${[...machines.keys()].join(", ")}`);
  if (machine.init !== undefined) return machine.init;
  throw new PodwireError("Stopped", `machine ${name} is stopped; podwire node start ${name} starts it`);
}

/**
 * Where a machine is entered.
 * @param group in a privileged cluster, whose machines' processes are in groups of it
 * @throws PodwireError "NotFound", "Stopped"
 */
export function placeOf(engine: EngineLink, machine: string, group?: ClusterGroup): MachinePlace {
  const place = { lab: engine.initPid(), machine: initOf(engine, machine) };
  return group === undefined ? place : { ...place, cgroup: group.leafOf(machine) };
}

/** Runs a command on a machine, for 30 s at most. @throws PodwireError "Stopped" */
export function runOnMachine(place: MachinePlace, command: readonly string[]): Promise<CommandResult> {
  const [program, ...args] = [...machineCommand(place, userInfo().uid), ...command] as [string, ...string[]];
  return new Promise((resolve) => {
    execFile(program, args, { cwd: "/", timeout: 30_000, maxBuffer: 16 << 20 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : 128;
      resolve({ code, stdout, stderr });
    });
  });
}
