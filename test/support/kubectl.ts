import { spawn } from "node:child_process";
import { expect } from "vitest";
import { type Result, run } from "./cluster.ts";
import { Following } from "./following.ts";

/** A kubectl with nothing but one cluster's kubeconfig. */
export class Kubectl {
  readonly program: string;
  readonly env: NodeJS.ProcessEnv;

  /** @param kubeconfig path; @param home a folder of its own, for kubectl's caches */
  constructor(kubeconfig: string, home: string, program = process.env["PODWIRE_TEST_KUBECTL"] ?? "kubectl") {
    this.program = program;
    this.env = { PATH: process.env["PATH"] ?? "", HOME: home, KUBECONFIG: kubeconfig, TERM: "xterm" };
  }

  run(args: readonly string[], options: { input?: string; env?: NodeJS.ProcessEnv } = {}): Promise<Result> {
    const { input, env } = options;
    return run(this.program, args, { env: { ...this.env, ...env }, ...(input === undefined ? {} : { input }) });
  }

  /** Output of a command that has to succeed. The command is one string, split at spaces. */
  ok(command: string, input?: string): Promise<string> {
    return this.okWords(command.split(" "), input);
  }

  /** The same, for arguments with spaces. */
  async okWords(args: readonly string[], input?: string): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, input === undefined ? {} : { input });
    expect({ args, code, stderr: code === 0 ? "" : stderr }).toEqual({ args, code: 0, stderr: "" });
    return stdout;
  }

  /** What a command that has to fail said. */
  async fails(command: string, input?: string): Promise<string> {
    const { code, stdout, stderr } = await this.run(command.split(" "), input === undefined ? {} : { input });
    expect({ command, code, stdout }).not.toMatchObject({ code: 0 });
    return stderr;
  }

  async json<T>(command: string): Promise<T> {
    return JSON.parse(await this.ok(`${command} -o json`)) as T;
  }

  /** Runs a script by the shell of a pod. */
  inPod(namespace: string, pod: string, script: string): Promise<string> {
    return this.okWords(["exec", "-n", namespace, pod, "--", "sh", "-c", script]);
  }

  /** What `pod` has in its events, newest last: `Reason: message`. */
  async events(namespace: string, pod: string): Promise<string[]> {
    const { items } = await this.json<{ items: { reason: string; message: string }[] }>(
      `get events -n ${namespace} --field-selector involvedObject.name=${pod}`,
    );
    return items.map(({ reason, message }) => `${reason}: ${message}`);
  }

  /** Starts a command that goes on, such as `get -w` or `logs -f`. */
  follow(command: string): Following {
    return new Following(spawn(this.program, command.split(" "), { env: this.env, stdio: "pipe" }));
  }

  /** Starts a command that waits for changes; resolves when the server has accepted its watch. */
  async watching(command: string): Promise<Following> {
    const following = this.follow(`${command} -v=6`);
    await following.shows(/[?&]watch=true.*200 OK/);
    return following;
  }

  /**
   * Runs a shell's command line on a terminal (script(1)); `kubectl` in it is this one.
   * @param input what is typed
   */
  terminal(command: string, input?: string): Promise<Result> {
    const script = `kubectl() { ${this.program} "$@"; }; ${command}`;
    return run("script", ["-qec", script, "/dev/null"], {
      env: { ...this.env, SHELL: "/bin/sh" },
      ...(input === undefined ? {} : { input }),
    });
  }
}
