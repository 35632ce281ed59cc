import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { askControl, type ClusterStatus, type ControlRequest } from "#lab/parent/index.ts";
import { Following } from "./following.ts";
import { makeStrictImages, type StrictImages, strictImages } from "./images/strict.ts";
import type { Staging } from "./staging.ts";
import type { User } from "./user.ts";

/** What a command printed and how it ended. */
export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a test's cluster is started. */
export interface TestClusterOptions {
  readonly staging: Staging;
  /** Absent: as the user that runs the tests. */
  readonly user?: User;
  readonly flags?: readonly string[];
  /** The words before the flags; absent: `podwire up` by the staging's Node, with nobody in between. */
  readonly launch?: readonly [string, ...string[]];
  /** Additional variables of its environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** What starts it: a program with arguments that takes the command as further ones. */
  readonly through?: readonly string[];
  /** Descriptors that it inherits as 3, 4, …, as from a careless shell. */
  readonly inherited?: readonly number[];
}

/** A cluster run by `podwire up` as a person would, with a state directory of its own. */
export class TestCluster {
  readonly #options: TestClusterOptions;
  readonly directory: string;
  readonly process: ChildProcess;
  readonly #strict: StrictImages | undefined;
  #kubeconfig: string | undefined;
  output = "";

  constructor(options: TestClusterOptions) {
    this.#options = options;
    this.directory = mkdtempSync(join(tmpdir(), "pw-"));
    const { user } = options;
    mkdirSync(this.temporary);
    for (const path of user ? [this.directory, this.temporary] : []) chownSync(path, user?.uid ?? 0, user?.gid ?? 0);
    this.#strict = strictImages ? this.#loadImages() : undefined;
    const { staging, through = [], launch = [staging.node, staging.podwire, "up"], flags = [] } = options;
    const all = [...through, ...launch, ...flags, ...(this.#strict?.flags ?? [])];
    const [program, ...args] = all as [string, ...string[]];
    this.process = spawn(program, args, {
      env: this.#environment(),
      cwd: "/",
      ...(user ? { uid: user.uid, gid: user.gid } : {}),
      stdio: ["ignore", "pipe", "pipe", ...(options.inherited ?? [])],
    });
    for (const stream of [this.process.stdout, this.process.stderr])
      stream?.on("data", (data: Buffer) => (this.output += data.toString()));
  }

  /** Puts the images of tests where the cluster finds them: pods have them from their first moment. */
  #loadImages(): StrictImages {
    const { staging, user } = this.#options;
    const images = makeStrictImages(this.temporary);
    const ids = user ? { uid: user.uid, gid: user.gid } : {};
    for (const archive of images.archives)
      execFileSync(staging.node, [staging.podwire, "images", "load", archive], {
        env: this.#environment(),
        cwd: "/",
        stdio: ["ignore", "ignore", "pipe"],
        ...ids,
      });
    return images;
  }

  #environment(): NodeJS.ProcessEnv {
    const { user, staging } = this.#options;
    return {
      PATH: process.env["PATH"] ?? "",
      HOME: user?.home ?? process.env["HOME"] ?? "/",
      XDG_STATE_HOME: this.directory,
      TMPDIR: this.temporary,
      PODWIRE_TOOLS: staging.tools,
      ...this.#strict?.env,
      ...this.#options.env,
    };
  }

  /** Folder for its temporary files. */
  get temporary(): string {
    return join(this.directory, "tmp");
  }

  /** Folder of the examples that its user can read. */
  get examples(): string {
    return join(this.#options.staging.directory, "examples");
  }

  /** Resolves when `up` has printed its summary. @throws Error with what it printed when it ends before */
  async ready(timeoutMs = 60_000): Promise<void> {
    const until = Date.now() + timeoutMs;
    while (!this.output.includes("Ctrl-C ends it")) {
      if (this.process.exitCode !== null || this.process.signalCode !== null)
        throw new Error(`podwire up ended:\n${this.output}`);
      if (Date.now() > until)
        throw new Error(
          `podwire up is not ready after ${timeoutMs} ms:\n${this.output}\n${(await this.podwire("status")).stdout}`,
        );
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Runs another podwire command on this cluster. */
  podwire(...args: string[]): Promise<Result> {
    return this.podwireWith(undefined, ...args);
  }

  /** As podwire(), with something on its standard input. */
  podwireWith(input: string | undefined, ...args: string[]): Promise<Result> {
    const { staging, user } = this.#options;
    return run(staging.node, [staging.podwire, ...args], {
      env: this.#environment(),
      ...(input === undefined ? {} : { input }),
      ...(user ? { uid: user.uid, gid: user.gid } : {}),
    });
  }

  /** Starts another podwire command on this cluster; the test waits for its end. */
  start(...args: string[]): { readonly child: ChildProcess; readonly output: () => string } {
    const { staging, user } = this.#options;
    const ids = user ? { uid: user.uid, gid: user.gid } : {};
    const child = spawn(staging.node, [staging.podwire, ...args], { env: this.#environment(), cwd: "/", ...ids });
    let text = "";
    child.stdout.on("data", (data: Buffer) => (text += data.toString()));
    return { child, output: () => text };
  }

  /** As podwire(), on a terminal of 33 lines and 77 columns, on which something is typed. */
  onTerminal(typed: string, ...args: string[]): Promise<Result> {
    const { staging, user } = this.#options;
    const quoted = [staging.node, staging.podwire, ...args].map((word) => `'${word}'`).join(" ");
    const command = `stty rows 33 cols 77; exec ${quoted}`;
    return run("script", ["--quiet", "--return", "--command", command, "/dev/null"], {
      env: { ...this.#environment(), SHELL: "/bin/sh" },
      input: typed,
      ...(user ? { uid: user.uid, gid: user.gid } : {}),
    });
  }

  /** Runs a shell script on a machine. */
  sh(machine: string, script: string): Promise<Result> {
    return this.podwire("exec", machine, "--", "/bin/sh", "-c", script);
  }

  /** Starts a program on a machine that goes on by itself, for a minute at most. */
  follow(machine: string, program: string): Following {
    const { staging, user } = this.#options;
    const script = `timeout 60 ${program} 2>&1 & read line; kill $!; wait`;
    const args = [staging.podwire, "exec", machine, "--", "/bin/sh", "-c", script];
    const env = this.#environment();
    const ids = user ? { uid: user.uid, gid: user.gid } : {};
    const child = spawn(staging.node, args, { env, cwd: "/", ...ids, stdio: "pipe" });
    return new Following(child, () => child.stdin.end());
  }

  /** Starts tcpdump on a machine's eth0; resolves when it sees every packet from now on. */
  async capture(machine: string, filter: string): Promise<Following> {
    const capture = this.follow(machine, `tcpdump -lnn -i eth0 '${filter}'`);
    await capture.shows(/listening on eth0/);
    return capture;
  }

  /** Runs the machine's kubectl, which has to succeed. @returns what it printed */
  async ok(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.kubectl(...args);
    if (code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${stderr || stdout}`);
    return stdout;
  }

  /** Runs a shell script in a pod of the namespace default. */
  inPod(pod: string, script: string): Promise<Result> {
    return this.kubectl("exec", pod, "--", "/bin/sh", "-c", script);
  }

  /** Resolves when every pod is ready: what a test takes down as its starting point does not change by itself then. */
  async podsReady(): Promise<void> {
    const until = Date.now() + 60_000;
    // Fails while a controller has yet to make the first pod.
    while ((await this.kubectl("wait", "--for=condition=Ready", "pods", "--all", "-A", "--timeout=30s")).code !== 0)
      if (Date.now() > until) throw new Error(`pods are not ready:\n${await this.ok("get", "pods", "-A")}`);
  }

  /** Starts a toolbox pod on a node; resolves when it is ready. @param spec more of the pod's */
  async toolbox(
    name: string,
    node: string,
    command: readonly string[] = ["sleep", "infinity"],
    spec: object = {},
  ): Promise<void> {
    const pin = JSON.stringify({ apiVersion: "v1", spec: { nodeName: node, ...spec } });
    await this.ok("run", name, "--image=podwire/toolbox", `--overrides=${pin}`, "--", ...command);
    await this.ok("wait", "--for=condition=Ready", `pod/${name}`, "--timeout=60s");
  }

  /** Sends a signal to a process of the lab, by the name that `status` gives it. */
  async signal(process: string, signal: number): Promise<void> {
    await this.#ask({ command: "signal", process, signal });
  }

  /** Process ids of the lab's init, as the host sees it, and of a machine's, as the lab sees it. */
  async enter(machine: string): Promise<{ readonly lab: number; readonly machine: number }> {
    return (await this.#ask({ command: "enter", machine })) as { readonly lab: number; readonly machine: number };
  }

  /** What `status --json` prints, asked for as that command does; the command itself is run once, to find the cluster. */
  async status(): Promise<ClusterStatus> {
    return (await this.#ask({ command: "status" })) as ClusterStatus;
  }

  async #ask(request: ControlRequest): Promise<unknown> {
    return askControl(join(dirname(await this.kubeconfig()), "control.sock"), request);
  }

  /** Path of its kubeconfig, which does not change: asked for once. */
  async kubeconfig(): Promise<string> {
    this.#kubeconfig ??= (JSON.parse((await this.podwire("status", "--json")).stdout) as ClusterStatus).kubeconfig;
    return this.#kubeconfig;
  }

  /** The machine's kubectl with nothing but this cluster's kubeconfig. */
  async kubectl(...args: string[]): Promise<Result> {
    const kubeconfig = await this.kubeconfig();
    return run(process.env["PODWIRE_TEST_KUBECTL"] ?? "kubectl", args, {
      env: { PATH: process.env["PATH"] ?? "", HOME: this.directory, KUBECONFIG: kubeconfig },
    });
  }

  /** Ends it as Ctrl-C would, and removes its directory. */
  async stop(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      const ended = once(this.process, "exit");
      this.process.kill("SIGINT");
      await ended;
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Runs a program to its end. */
export function run(
  program: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string; uid?: number; gid?: number; input?: string; timeout?: number } = {},
): Promise<Result> {
  const { input, ...rest } = options;
  return new Promise((resolve) => {
    const child = execFile(
      program,
      args,
      { cwd: "/", timeout: 60_000, maxBuffer: 32 << 20, ...rest },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : 128;
        resolve({ code, stdout, stderr });
      },
    );
    if (input !== undefined) child.stdin?.end(input);
  });
}
