import { errorMessage } from "#base/errors.ts";
import { EXIT, type RunWish, type StopWish, startExitCode } from "#run/index.ts";
import { runDetached } from "./detached.ts";
import { keep } from "./keep.ts";
import { listRuns, stopRuns } from "./others.ts";
import { Interrupted } from "./signals.ts";
import { distantVoice, ownVoice, tell } from "./voice.ts";

function exitCodeOf(error: unknown): number {
  if (error instanceof Interrupted) return 128 + error.signal;
  return startExitCode(errorMessage(error));
}

async function run(text: string): Promise<number> {
  const wish = JSON.parse(text) as RunWish;
  if (wish.detach) return runDetached(text);
  try {
    return await keep(wish, ownVoice);
  } catch (error) {
    process.stderr.write(`podwire: ${errorMessage(error)}\n`);
    return exitCodeOf(error);
  }
}

async function keepDetached(text: string): Promise<number> {
  try {
    return await keep(JSON.parse(text) as RunWish, distantVoice);
  } catch (error) {
    const failed = { code: exitCodeOf(error), message: errorMessage(error) };
    await new Promise<void>((resolve) => tell({ failed }, resolve));
    return failed.code;
  }
}

async function other(work: Promise<void>): Promise<number> {
  try {
    await work;
    return 0;
  } catch (error) {
    process.stderr.write(`podwire: ${errorMessage(error)}\n`);
    return 1;
  }
}

/** The part of `podwire run`, `ps` and `stop` that works on a node: `run|keep|ps|stop` and a wish as JSON. */
async function main(): Promise<number> {
  const [, , action, text = "{}"] = process.argv;
  switch (action) {
    case "run":
      return run(text);
    case "keep":
      return keepDetached(text);
    case "ps":
      return other(listRuns());
    case "stop":
      return other(stopRuns(JSON.parse(text) as StopWish));
    default:
      process.stderr.write("run: is started by podwire\n");
      return EXIT.own;
  }
}

process.umask(0o022);
void main().then((code) => process.exit(code));
