import { spawn } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CLONE, check, libc } from "#kernel/ffi/index.ts";
import { makePrivate } from "#kernel/mounts/index.ts";
import { type Child, Spawner } from "#kernel/process/index.ts";
import { ContainerLog } from "#kubelet/logs/index.ts";
import { runningContainer } from "#kubelet/runtime/container.ts";
import { killRemaining, openMountNamespace } from "#kubelet/runtime/found.ts";
import { ProcessRuntime } from "#kubelet/runtime/index.ts";
import { ContainerOutputs, closeEnds } from "#kubelet/runtime/outputs.ts";

let spawner: Spawner;
let directory: string;
beforeAll(async () => {
  check(libc.unshare(CLONE.NEWNS), "unshare");
  makePrivate("/");
  directory = mkdtempSync(join(tmpdir(), "podwire-ends-"));
  spawner = await Spawner.start({ thread: "inline" });
});
afterAll(async () => {
  await spawner.stop();
  rmSync(directory, { recursive: true, force: true });
});

const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };
const run = (script: string) => spawner.spawn({ argv: ["sh", "-c", script], env, stdio: [null, null, null] });
const handle = (pid: number) => ({ id: "a".repeat(64), podUid: "u", pid, logPath: join(directory, "log") });

/** A tmpfs of a size, without one free page. */
function fullFolder(size: string): { readonly path: string; empty(): void; end(): void } {
  const path = mkdtempSync(join(directory, "full-"));
  check(libc.mount("full", path, "tmpfs", 0, `size=${size}`), "mount");
  mkdirSync(join(path, "io"));
  return {
    path,
    empty: () => rmSync(join(path, "fill")),
    end: () => void libc.umount2(path, 2),
  };
}

function fill(path: string): void {
  const chunk = Buffer.alloc(4096);
  expect(() => {
    for (;;) writeFileSync(join(path, "fill"), chunk, { flag: "a" });
  }).toThrow("ENOSPC");
}

describe("a full file system", () => {
  it("makes a container wait, and loses nothing", async () => {
    const full = fullFolder("256k");
    const log = new ContainerLog(join(directory, "waits.log"));
    const outputs = new ContainerOutputs(join(full.path, "io"), log, spawner.poll);
    const ends = outputs.make("none");
    outputs.connect();
    fill(full.path);
    let got = "";
    outputs.onOutput((_stream, chunk) => {
      got += chunk.toString();
    });
    const text = Array.from({ length: 1000 }, (_, i) => `line ${i}\n`).join("");
    writeSync(ends.stdout, text);
    // Another stream's end of the same thread comes through meanwhile.
    const { exit } = await run("exit 3");
    expect(await exit).toEqual({ code: 3, signal: null });
    expect(got).toBe("");
    full.empty();
    await expect.poll(() => got.length, { timeout: 30_000 }).toBe(text.length);
    expect(got).toBe(text);
    closeEnds(ends);
    await outputs.finish();
    full.end();
  });

  it("never leaves part of an entry in a log", () => {
    const full = fullFolder("64k");
    const log = new ContainerLog(join(full.path, "log"));
    log.write("stdout", Buffer.from("first\n"));
    fill(full.path);
    const before = readFileSync(log.path, "latin1");
    expect(() => log.write("stdout", Buffer.alloc(8192, "x"))).toThrow("ENOSPC");
    expect(readFileSync(log.path, "latin1")).toBe(before);
    full.empty();
    log.write("stdout", Buffer.from("second\n"));
    expect(readFileSync(log.path, "latin1")).toMatch(/ first\n\S+ stdout F second\n$/);
    log.end();
    full.end();
  });
});

describe("the end of a container that shares processes", () => {
  it("ends all that it has started, what these start, and nothing else", async () => {
    const busy = "sh -c 'while :; do (sleep 1000 & sleep 1000 &) ; sleep 0.01; done'";
    const inside = spawn("unshare", ["--mount", "sh", "-c", `${busy} & echo up; exec sleep 1000`], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const neighbour = await run("exec unshare --mount sleep 1000");
    await new Promise((resolve) => inside.stdout.once("data", resolve));
    const namespace = openMountNamespace(inside.pid ?? 0) ?? -1;
    const name = readlinkSync(`/proc/${inside.pid}/ns/mnt`);
    inside.kill("SIGKILL");
    await killRemaining(namespace);
    expect(inNamespace(name)).toEqual([]);
    // No new one has got its number as long as it is held.
    const later = await run("exec unshare --mount sleep 1000");
    await expect.poll(() => nameOf(later)).not.toBe(readlinkSync("/proc/self/ns/mnt"));
    expect(nameOf(later)).not.toBe(name);
    closeSync(namespace);
    for (const child of [neighbour, later]) {
      child.kill(9);
      expect(await child.exit).toEqual({ code: null, signal: 9 });
    }
  });

  it("is an end whatever goes wrong after it", async () => {
    const child = await run("exit 4");
    const log = new ContainerLog(join(directory, "ends.log"));
    const outputs = new ContainerOutputs(join(directory, "nothing"), log, spawner.poll);
    const warned = new Promise((resolve) => process.once("warning", resolve));
    const group = {
      folder: "",
      wasOutOfMemory: () => false,
      end: () => Promise.reject(new Error("its group could not be ended")),
    };
    const running = runningContainer(handle(child.pid), child, log, outputs, false, group);
    expect(await running.exit).toEqual({ exitCode: 4 });
    expect(await warned).toMatchObject({ message: "its group could not be ended" });
    expect(log.ended).toBe(true);
  });
});

it("a container or holder that has ended cannot be taken over, which is no error", async () => {
  const runtime = new ProcessRuntime({ folder: join(directory, "run") }, spawner);
  const child = await run("exit 0");
  await child.exit;
  expect(runtime.adopt(handle(child.pid))).toBeUndefined();
  expect(runtime.adoptHolder(child.pid)).toBeUndefined();
});

function nameOf(child: Child): string {
  return readlinkSync(`/proc/${child.pid}/ns/mnt`);
}

function inNamespace(name: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/ns/mnt`) === name;
    } catch {
      return false;
    }
  });
}
