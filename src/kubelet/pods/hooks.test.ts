import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import type { ExecRequest, ProcessRuntime } from "../runtime/index.ts";
import { testPod } from "../testing.ts";
import { type ExecTarget, execOutput } from "./hooks.ts";

const started: ChildProcess[] = [];
const pipes: string[] = [];
afterEach(() => {
  for (const { pid } of started.splice(0)) {
    try {
      if (pid !== undefined) process.kill(-pid, "SIGKILL");
    } catch {
      // On a slow machine the shell was killed before it had started anything.
    }
  }
});

/** What descriptors of this process stand for. */
function descriptors(): string[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return [];
    }
  });
}

/** Runs commands as processes of this machine, in a group of their own. */
const target = {
  pod: testPod({}),
  container: { name: "c" },
  running: {} as ExecTarget["running"],
  runtime: {
    exec: async (_: unknown, { argv: [program, ...args], stdio }: ExecRequest) => {
      pipes.push(readlinkSync(`/proc/self/fd/${stdio[1]}`));
      const child = spawn(program, args, { detached: true, stdio: ["ignore", stdio[1] ?? null, stdio[2] ?? null] });
      started.push(child);
      const exit = once(child, "exit").then(([code]) => ({ code: code as number | null, signal: 9 }));
      return { exit, kill: () => child.kill("SIGKILL") };
    },
  } as unknown as ProcessRuntime,
};

describe("a command that takes too long", () => {
  it("leaves no descriptor open, whoever still holds its output", async () => {
    const { exitCode, output } = await execOutput(target, ["sh", "-c", "sleep 1000 & wait"], 50);
    expect([exitCode, output]).toEqual([124, 'command timed out: "sh -c sleep 1000 & wait" timed out after 0.05s']);
    expect(pipes).toHaveLength(1);
    await expect.poll(descriptors, { timeout: 20_000 }).not.toContain(pipes[0]);
  });
});
