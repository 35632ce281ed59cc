import { execFile } from "node:child_process";
import { PodwireError } from "#base/errors.ts";
import type { Command } from "./plan.ts";

/** A command that hangs is killed after this time, in ms. */
const TIME_LIMIT = 30_000;
const MAX_OUTPUT = 16 << 20;

/**
 * Runs one of the machine's programs.
 * @returns what it printed
 * @throws PodwireError "CommandFailed" with the command and its words
 */
export function execute([program = "", ...args]: Command): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(
      program,
      args,
      { timeout: TIME_LIMIT, killSignal: "SIGKILL", maxBuffer: MAX_OUTPUT },
      (error, out, err) => {
        if (error === null) return resolve(out);
        const words = error.code === "ENOENT" ? "there is no such program on this node" : err.trim() || error.message;
        reject(new PodwireError("CommandFailed", `${[program, ...args].join(" ")}: ${words}`));
      },
    );
  });
}
