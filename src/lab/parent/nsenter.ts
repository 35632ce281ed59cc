import { execFile } from "node:child_process";
import { userInfo } from "node:os";
import { PodwireError } from "#base/errors.ts";
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
 * would end the machine and the lab with it.
 * @param lab pid of the lab's init as the host sees it
 * @param machine pid of the machine's init as the lab sees it
 * @param user uid of the caller
 */
export function machineCommand(lab: number, machine: number, user: number): [string, ...string[]] {
  // The lab of an ordinary user has none of its own (lab/stage, Bounds).
  const cgroup = user === 0;
  return [
    ...nsenterArguments(lab, cgroup, user),
    ...nsenterArguments(machine, cgroup),
    "setpriv",
    "--inh-caps=-sys_boot",
    "--bounding-set=-sys_boot",
    "--",
  ];
}

/** What a command on a machine printed and how it ended. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Pid of the init of a machine that has power, as the lab sees it. @throws PodwireError "NotFound", "Stopped" */
export function initOf({ machines }: EngineLink, name: string): number {
  const machine = machines.get(name);
  if (!machine) throw new PodwireError("NotFound", `no machine ${name}; there are ${[...machines.keys()].join(", ")}`);
  if (machine.init !== undefined) return machine.init;
  throw new PodwireError("Stopped", `machine ${name} is stopped; podwire node start ${name} starts it`);
}

/** Runs a command on a machine, for 30 s at most. @throws PodwireError "NotFound", "Stopped" */
export function runOnMachine(engine: EngineLink, machine: string, command: readonly string[]): Promise<CommandResult> {
  const enter = machineCommand(engine.initPid(), initOf(engine, machine), userInfo().uid);
  const [program, ...args] = [...enter, ...command] as [string, ...string[]];
  return new Promise((resolve) => {
    execFile(program, args, { cwd: "/", timeout: 30_000, maxBuffer: 16 << 20 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : 128;
      resolve({ code, stdout, stderr });
    });
  });
}
