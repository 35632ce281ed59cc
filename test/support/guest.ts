import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Result, run } from "./cluster.ts";
import { checkout } from "./installation.ts";

/**
 * The program that runs a shell script as root under another Linux kernel, over this machine's files: a User-Mode
 * Linux, slow, for function only. Undefined where there is none.
 */
export function guestProgram(): string | undefined {
  const path = process.env["PODWIRE_TEST_GUEST"] ?? join(checkout, "../shared/tools/guest/guest");
  // Its first process is busybox.
  return existsSync(path) && existsSync("/bin/busybox") ? path : undefined;
}

/** Runs a script in the guest; /tmp and /run are its own and empty. */
export function inGuest(guest: string, script: string, seconds: number): Promise<Result> {
  return run(guest, ["-t", String(seconds), script], { env: process.env, timeout: (seconds + 10) * 1000 });
}
