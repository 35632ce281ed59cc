import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { TestServer } from "./server.ts";

const run = promisify(execFile);

/** Runs a command line with a real kubectl; FILE in it names a file that holds `input`. Resolves to both outputs. */
export type KubectlRun = (command: string, input?: string) => Promise<string>;

/** A real kubectl for a test server. Words may stand in single quotes. */
export function kubectlFor(test: TestServer): KubectlRun {
  const program = process.env["PODWIRE_TEST_KUBECTL"] ?? "kubectl";
  const file = join(test.directory, "input.yaml");
  const always = ["--kubeconfig", test.kubeconfig, "--cache-dir", join(test.directory, "cache")];
  return async (command, input) => {
    if (input !== undefined) writeFileSync(file, input);
    const words = (command.match(/(?:[^\s']|'[^']*')+/g) ?? []).map((a) => a.replace(/'/g, ""));
    const args = words.map((a) => (a === "FILE" ? file : a));
    const options = { timeout: 60_000, maxBuffer: 1 << 26 };
    const done = await run(program, [...always, ...args], options).catch(
      (error: { stdout: string; stderr: string }) => error,
    );
    return done.stdout + done.stderr;
  };
}
