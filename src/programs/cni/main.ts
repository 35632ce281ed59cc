import { readFileSync } from "node:fs";
import { runExecutable, runTool, type ToolWish } from "#cni/index.ts";

/** The word before a wish of `podwire cni`. */
const TOOL = "tool";

/** The CNI plugins as one executable, see {@link runExecutable}; and a runtime's part by hand. */
async function main(): Promise<void> {
  const [, , first, wish = ""] = process.argv;
  const output =
    first === TOOL
      ? await runTool(JSON.parse(wish) as ToolWish)
      : await runExecutable({
          argv: process.argv.slice(1),
          env: process.env,
          stdin: () => readFileSync(0, "utf8"),
        });
  process.stdout.write(output.stdout);
  process.exitCode = output.code;
}

void main();
