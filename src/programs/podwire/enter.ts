import { spawn } from "node:child_process";
import { userInfo } from "node:os";
import { PodwireError } from "#base/errors.ts";
import { keepDescriptors, leaveSessionKeyring } from "#kernel/process/index.ts";
import { type ClusterStatus, type MachinePlace, machineCommand } from "#lab/parent/index.ts";
import { ownStreams, runForeign } from "./foreign.ts";
import { ask } from "./query.ts";

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/cni/bin";

/** The command line that runs a command on a machine of a cluster. */
export async function commandOn(
  name: string,
  machine: string,
  command: readonly string[],
): Promise<[string, ...string[]]> {
  const place = (await ask(name, { command: "enter", machine })) as MachinePlace;
  const term = process.env["TERM"];
  const env = [
    "env",
    "-i",
    `PATH=${PATH}`,
    "HOME=/root",
    "USER=root",
    ...(term ? [`TERM=${term}`] : []),
    "LANG=C.UTF-8",
    "KUBECONFIG=/etc/kubernetes/admin.conf",
  ];
  return [...machineCommand(place, userInfo().uid), ...env, ...command];
}

/**
 * Runs a command on a machine with this process's streams.
 * @param through words before what enters the machine
 * @returns its exit code
 */
export async function enter(
  name: string,
  machine: string,
  command: readonly string[],
  streams = ownStreams(),
  through: readonly string[] = [],
): Promise<number> {
  const line = await commandOn(name, machine, command);
  keepDescriptors();
  leaveSessionKeyring();
  return runForeign([...through, ...line], streams);
}

/** `podwire exec NODE -- COMMAND` */
export async function runExec(
  node: string,
  command: readonly string[],
  flags: { readonly name: string },
): Promise<number> {
  if (command.length === 0)
    throw new PodwireError("InvalidConfig", "which command? podwire exec <node> -- <command> [arguments]");
  return enter(flags.name, node, command);
}

/** `podwire shell TARGET`: a node (or the router), or a pod as `pod` or `namespace/pod`. */
export async function runShell(target: string, flags: { readonly name: string }): Promise<number> {
  const status = (await ask(flags.name, { command: "status" })) as ClusterStatus;
  const machines = ["router", ...status.nodes.map((n) => n.name)];
  if (machines.includes(target)) {
    const streams = ownStreams();
    return enter(flags.name, target, nodeShell(streams.kind === "terminal"), streams);
  }
  const [namespace, pod] = target.includes("/") ? target.split("/", 2) : ["default", target];
  return kubectlExec(status.kubeconfig, namespace ?? "default", pod ?? "");
}

/**
 * A login shell. On a terminal, script(1) gives it one of the machine's own: ours is not among the machine's devices,
 * so that `tty`, job control and whatever opens /dev/tty by its name would not work.
 */
function nodeShell(onTerminal: boolean): string[] {
  const shell = ["/bin/bash", "-l"];
  return onTerminal ? ["script", "--quiet", "--return", "--command", shell.join(" "), "/dev/null"] : shell;
}

/** A shell in a pod is what kubectl does. */
function kubectlExec(kubeconfig: string, namespace: string, pod: string): Promise<number> {
  const child = spawn("kubectl", ["--kubeconfig", kubeconfig, "exec", "-it", "-n", namespace, pod, "--", "sh"], {
    stdio: "inherit",
  });
  return new Promise((resolve, reject) => {
    child.once("error", () =>
      reject(new PodwireError("NoKubectl", `a shell in pod ${namespace}/${pod} needs kubectl in the PATH`)),
    );
    child.once("exit", (code) => resolve(code ?? 1));
  });
}
