import { existsSync } from "node:fs";
import { PodwireError } from "#base/errors.ts";
import { askControl, type ClusterStatus, type ControlRequest } from "#lab/parent/index.ts";
import { clusterNames, readState, removeRemains } from "#lab/state/index.ts";

/**
 * Asks the cluster of a name.
 * @throws PodwireError "NotRunning" naming the clusters that are there
 */
export async function ask(name: string, request: ControlRequest): Promise<unknown> {
  const state = readState(name);
  if (!state) throw notRunning(name);
  try {
    return await askControl(state.socket, request);
  } catch (error) {
    const { code = "", syscall } = error as NodeJS.ErrnoException;
    // What the cluster answers has a code at most; the socket's own failures name the system call.
    if (syscall !== undefined && ["ENOENT", "ECONNREFUSED", "EPIPE", "ECONNRESET"].includes(code))
      throw notRunning(name);
    throw error;
  }
}

function notRunning(name: string): PodwireError {
  removeRemains(name);
  const others = clusterNames().filter((other) => other !== name && readState(other));
  return new PodwireError(
    "NotRunning",
    `no cluster "${name}" is running${others.length ? `; there is ${others.join(", ")}` : ""} (podwire up starts one)`,
  );
}

/** `podwire status` */
export async function runStatus(flags: { readonly name: string; readonly json?: boolean }): Promise<void> {
  const status = (await ask(flags.name, { command: "status" })) as ClusterStatus;
  if (flags.json) {
    process.stdout.write(`${JSON.stringify(status, null, 2)}\n`);
    return;
  }
  process.stdout.write(statusText(status));
}

/** What `podwire status` prints: a machine that does not run is told as what it is, whatever the API last heard of it. */
export function statusText(status: ClusterStatus): string {
  const lines = [
    `${status.name}: ${status.state}`,
    ...status.reasons.map((reason) => `  ! ${reason}`),
    `kubeconfig  ${status.kubeconfig}`,
    `API server  ${status.urls.api}`,
    ...(status.urls.ingress ? [`ingress     ${status.urls.ingress}`] : []),
    "",
    "NODE          ADDRESS        ON THE HOST    STATE",
    ...status.nodes.map(
      ({ name, address, hostAddress, state, machine }) =>
        `${name.padEnd(13)} ${address.padEnd(14)} ${hostAddress.padEnd(14)} ${machine === "running" ? state : machine}`,
    ),
    "",
    "PROCESS              MACHINE       STATE       RESTARTS",
    ...status.processes.map(
      (p) =>
        `${p.name.padEnd(20)} ${p.machine.padEnd(13)} ${p.state.padEnd(11)} ${p.restarts}${p.reason ? `  (${p.reason})` : ""}`,
    ),
  ];
  return `${lines.join("\n")}\n`;
}

/** How long a cluster's process may take to end, in ms; it takes some hundred. */
const DOWN_MS = 30_000;

/** `podwire down`: resolves when the cluster's process has ended. @throws PodwireError "StillRunning" */
export async function runDown(flags: { readonly name: string }): Promise<void> {
  const state = readState(flags.name);
  await ask(flags.name, { command: "down" });
  const deadline = performance.now() + DOWN_MS;
  // The parent removes its state directory last.
  while (state && alive(state.pid)) {
    if (performance.now() > deadline)
      throw new PodwireError(
        "StillRunning",
        `process ${state.pid} of cluster "${flags.name}" has not ended within ${DOWN_MS / 1000} s; to end it by force: kill -9 ${state.pid}`,
      );
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** `podwire kubeconfig` */
export async function runKubeconfig(flags: { readonly name: string }): Promise<void> {
  const status = (await ask(flags.name, { command: "status" })) as ClusterStatus;
  if (!existsSync(status.kubeconfig))
    throw new PodwireError("Starting", `cluster "${flags.name}" is still starting: it has no kubeconfig yet`);
  process.stdout.write(`${status.kubeconfig}\n`);
}
