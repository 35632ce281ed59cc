import { readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { PodwireError } from "#base/errors.ts";
import { endWithParent, findProgram } from "#kernel/process/index.ts";
import {
  type ClusterConfig,
  type ClusterInput,
  explainWithFile,
  type LabProxyMode,
  parseConfigFile,
  resolveConfig,
} from "#lab/config/index.ts";
import { obstacles, runDoctor } from "#lab/doctor/index.ts";
import { Cluster, KeptState } from "#lab/parent/index.ts";
import { DataDirectory } from "#lab/state/index.ts";
import { installation } from "./installation.ts";
import { Progress } from "./progress.ts";

/** Flags of `podwire up`. */
export interface UpFlags {
  readonly name?: string;
  readonly nodes?: number;
  readonly config?: string;
  readonly podCidr?: string;
  readonly serviceCidr?: string;
  readonly nodeCidr?: string;
  readonly nodeCidrMaskSizeIpv4?: number;
  readonly nodeCidrMaskSizeIpv6?: number;
  readonly maxPods?: number;
  readonly ingress?: "nginx" | "none";
  readonly example?: "online-store" | "none";
  readonly outside?: "on" | "off";
  readonly pods?: number;
  readonly runtime?: "podwire" | "crun";
  readonly privileged?: boolean;
  readonly proxyMode?: LabProxyMode;
  readonly apiPort?: number;
  readonly ingressPort?: number;
  readonly dataDir?: string;
}

/** What is to be run, and where it is kept. */
interface Wanted {
  readonly config: ClusterConfig;
  readonly kept?: KeptState;
}

/**
 * The configuration from flags, file and what a data directory keeps.
 * @throws PodwireError "InvalidConfig" with file and line of what a file says, "DataRefused", "DataInUse"
 */
function readConfig({ dataDir, ...flags }: UpFlags): Wanted {
  const { config: file, ...given } = flags;
  const make = (input: ClusterInput): Wanted => {
    if (dataDir === undefined) return { config: resolveConfig(input) };
    const kept = new KeptState(DataDirectory.open(dataDir), input);
    return { config: kept.config, kept };
  };
  if (file === undefined) return make(given);
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new PodwireError("InvalidConfig", `--config ${file}: ${(error as Error).message}`);
  }
  const input = { ...parseConfigFile(text, file), ...given };
  try {
    return make(input);
  } catch (error) {
    throw explainWithFile(error, text, file, Object.keys(given));
  }
}

/** @throws PodwireError "NoRuntime" when machines, which see this host's programs, would not find crun */
function checkRuntime({ runtime }: ClusterConfig): void {
  if (runtime !== "crun") return;
  try {
    findProgram("crun", { root: "", cwd: "/", path: undefined });
  } catch {
    throw new PodwireError(
      "NoRuntime",
      "runtime crun: there is no crun on this machine; install it by: apt-get install crun",
    );
  }
}

/**
 * A user namespace is what keeps a cluster's root from being the machine's: only root itself can do without.
 * @throws PodwireError "NotRoot"
 */
function checkPrivileged({ privileged }: ClusterConfig): void {
  if (!privileged) return;
  const instead = "run it by sudo, or leave --privileged out";
  const refused = (why: string) =>
    new PodwireError("NotRoot", `--privileged needs root of this machine: ${why}; ${instead}`);
  const { uid, username } = userInfo();
  if (uid !== 0) throw refused(`this user is ${username}`);
  // All ids, each to itself: the initial user namespace (user_namespaces(7)).
  if (!/^\s*0\s+0\s+4294967295\s*$/.test(readFileSync("/proc/self/uid_map", "latin1")))
    throw refused("root here is that of a user namespace");
}

/** The moment from which durations count, on performance.now()'s clock: the launcher's start when it told. */
function startOfCommand(): number {
  const told = Number(process.env["PODWIRE_STARTED_AT"]);
  return told > 0 && told <= performance.timeOrigin ? told - performance.timeOrigin : 0;
}

/**
 * `npm start` stands between the person and us, and npm killed tells nobody: end with it. Started by hand we outlive
 * our shell, as any program does. The `podwire` script tells who started it.
 */
function followNpm(): void {
  const parent = Number(process.env["PODWIRE_PARENT"]);
  if (process.env["npm_lifecycle_event"] === "start" && parent > 0) endWithParent(parent);
}

/** Brings a cluster up, stays until a signal, takes it down. @returns the exit code */
export async function runUp(flags: UpFlags): Promise<number> {
  const { config, kept } = readConfig(flags);
  checkPrivileged(config);
  checkRuntime(config);
  const startedAt = startOfCommand();
  const cluster = new Cluster({ config, installation: installation(), startedAt, ...(kept ? { kept } : {}) });
  const progress = new Progress(process.stdout, stepsOf(config, kept?.resumed ?? false));
  cluster.on("step", (name, ms) => progress.done(name, ms));
  const ended = new Promise<number>((resolve) => {
    let ending = false;
    const end = (code: number, words = ""): void => {
      // What fails because it is being taken down is nobody's concern.
      progress.end();
      if (!ending) process.stderr.write(words);
      ending = true;
      resolve(code);
    };
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => end(0));
    cluster.on("down", () => end(0));
    cluster.on("failed", (error) => void explain(error).then((words) => end(1, words)));
  });
  const started = cluster.start().then(
    () => {
      progress.end();
      process.stdout.write(summary(config, cluster));
    },
    (error: unknown) => cluster.emit("failed", error as Error),
  );
  followNpm();
  const code = await ended;
  await cluster.stop();
  await started;
  return code;
}

/** What a start goes through, in its order. */
function stepsOf({ example }: ClusterConfig, resumed: boolean): string[] {
  const early = ["certificates", "engine", "fabric", "machines", "api", "nodes ready"];
  if (resumed) return early;
  const steps = [...early, "manifests"];
  return example === "none" ? steps : [...steps, "first answer"];
}

/** The words for a failure: what the machine lacks, where that is why. */
async function explain(error: Error): Promise<string> {
  const lines = [error.message];
  if (error instanceof PodwireError && error.code === "NamespacesRefused") lines.push(...obstacles(await runDoctor()));
  return lines.map((line) => `podwire: ${line}\n`).join("");
}

function summary(config: ClusterConfig, cluster: Cluster): string {
  const status = cluster.status();
  const { urls } = status;
  const name = config.name === "podwire" ? "" : ` --name ${config.name}`;
  const worker = status.nodes[1]?.name ?? status.nodes[0]?.name ?? "";
  const ingress = urls.ingress;
  const lines = [
    "",
    status.firstAnswerMs === undefined
      ? "The cluster is up."
      : `First answer through the ingress after ${status.firstAnswerMs} ms.`,
    "",
    `  kubeconfig   ${status.kubeconfig}`,
    `  API server   ${urls.api}`,
    ...(ingress ? [`  ingress      ${ingress}`] : []),
    ...status.nodes.map((n) => `  ${n.name.padEnd(12)} ${n.address} inside, its NodePorts here at ${n.hostAddress}`),
    ...cluster.shortcomings.map((words) => `\n! ${words}`),
    "",
    "Try:",
    `  export KUBECONFIG=$(./podwire kubeconfig${name})`,
    "  kubectl get nodes,pods -A -o wide",
    ...(ingress && config.example !== "none" ? [`  curl ${ingress}/wear`] : []),
    `  ./podwire shell ${worker}${name}`,
    `  ./podwire check${name}`,
    "",
    "Ctrl-C ends it.",
    "",
  ];
  return `${lines.join("\n")}\n`;
}
