import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";

/** A cluster that `./podwire up` runs for a test. */
export interface RunningCluster {
  readonly name: string;
  /** With KUBECONFIG set: kubectl reaches the cluster. */
  readonly env: NodeJS.ProcessEnv;
  /** A command that runs `sh` on a node, reading from standard input. */
  nodeShell(node: string): readonly string[];
  stop(): Promise<void>;
}

/** Brings a cluster up by the command that people type and waits until it says that it is there. */
export async function startPodwire(flags: readonly string[]): Promise<RunningCluster> {
  const name = `test-${randomBytes(3).toString("hex")}`;
  const child = spawn("./podwire", ["up", "--name", name, ...flags], { stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  let output = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    output += chunk;
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk;
      if (output.includes("Ctrl-C ends it.")) resolve();
    });
    void ended.then(() => reject(new Error(`podwire up ended:\n${output}`)));
  });
  const kubeconfig = execFileSync("./podwire", ["kubeconfig", "--name", name], { encoding: "utf8" }).trim();
  return {
    name,
    env: { ...process.env, KUBECONFIG: kubeconfig },
    nodeShell: (node) => ["./podwire", "exec", "--name", name, node, "--", "sh"],
    stop: async () => {
      child.kill("SIGTERM");
      await ended;
    },
  };
}
