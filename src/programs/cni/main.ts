import { readFileSync } from "node:fs";
import { runExecutable } from "#cni/index.ts";

/** The CNI plugins as one executable: see {@link runExecutable}. */
async function main(): Promise<void> {
  const output = await runExecutable({
    argv: process.argv.slice(1),
    env: process.env,
    stdin: () => readFileSync(0, "utf8"),
  });
  process.stdout.write(output.stdout);
  process.exitCode = output.code;
}

void main();
