import { spawn } from "node:child_process";
import { nodeOptions, programFile } from "#base/entry.ts";
import { EXIT } from "#run/index.ts";
import type { KeeperMessage } from "./voice.ts";

/**
 * Starts a container with a keeper of its own, in a session of its own, and waits until it runs.
 * @param wish as text
 * @returns exit code of `podwire run -d`
 */
export function runDetached(wish: string): Promise<number> {
  const args = [...nodeOptions, programFile("run"), "keep", wish];
  const keeper = spawn(process.execPath, args, {
    detached: true,
    cwd: "/",
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  return new Promise((resolve, reject) => {
    keeper.once("error", reject);
    keeper.on("message", (message: KeeperMessage) => {
      if ("say" in message) process.stderr.write(message.say);
      else if ("failed" in message) {
        process.stderr.write(`podwire: ${message.failed.message}\n`);
        resolve(message.failed.code);
      } else {
        process.stdout.write(`${message.id}\n`);
        resolve(0);
      }
    });
    // Killed, or it would have said why.
    keeper.once("close", () => resolve(EXIT.own));
  });
}
