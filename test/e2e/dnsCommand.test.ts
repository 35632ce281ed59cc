import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { freePort } from "#base/testing/ports.ts";
import { type Result, run } from "#test/support/cluster.ts";
import { Following, type Piped } from "#test/support/following.ts";
import { makeStaging, type Staging } from "#test/support/staging.ts";
import { people, type User } from "#test/support/user.ts";

/** The notes' Corefile. */
const COREFILE = ". {\n  hosts /etc/hosts\n}\n";

people.describe("D06 podwire dns, typed by %s", ["root", "an ordinary user"], (who) => {
  let staging: Staging;
  let user: User | undefined;
  let folder: string;
  let server: ChildProcess | undefined;

  beforeAll(() => {
    staging = makeStaging();
    user = people.user(who, { subids: false });
    folder = mkdtempSync(join(tmpdir(), "pw-dns-"));
    if (user) chownSync(folder, user.uid, user.gid);
    writeFileSync(join(folder, "Corefile"), COREFILE, { mode: 0o644 });
    writeFileSync(join(folder, "other"), ". {\n  hosts {\n    10.9.8.7 web.example\n  }\n}\n", { mode: 0o644 });
  });
  afterEach(() => server?.kill("SIGKILL"));
  afterAll(() => {
    user?.remove();
    rmSync(folder, { recursive: true });
    staging.remove();
  });

  const ids = () => (user ? { uid: user.uid, gid: user.gid } : {});
  const podwire = (...args: string[]): Promise<Result> =>
    run(staging.node, [staging.podwire, "dns", ...args], { cwd: folder, ...ids() });
  /** Starts the server in the folder; resolves when it serves. */
  async function serve(...args: string[]): Promise<(question: string) => Promise<string>> {
    const port = await freePort();
    const words = [staging.podwire, "dns", ...args, "-dns.port", String(port)];
    const child = spawn(staging.node, words, { cwd: folder, ...ids(), stdio: ["ignore", "pipe", "pipe"] });
    server = child;
    await new Following(child as Piped).shows(/"Serving \.:\d+"/);
    return async (question) =>
      (await run("dig", ["@127.0.0.1", "-p", String(port), "+short", ...question.split(" ")])).stdout;
  }

  it("reads ./Corefile and answers dig from /etc/hosts; Ctrl-C ends it", async () => {
    const dig = await serve();
    expect(await dig("localhost A")).toBe("127.0.0.1\n");
    expect(await dig("+tcp localhost A")).toBe("127.0.0.1\n");
    const ended = once(server as ChildProcess, "exit");
    server?.kill("SIGINT");
    expect(await ended).toEqual([0, null]);
  });

  it("reads another file with -conf", async () => {
    const dig = await serve("-conf", "other");
    expect(await dig("web.example A")).toBe("10.9.8.7\n");
  });

  it("--help says what it does and takes; mistakes are named", async () => {
    for (const flag of ["--help", "-h"]) {
      const { code, stdout, stderr } = await podwire(flag);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toMatch(/^Usage: podwire dns \[-conf FILE\] \[-dns\.port N\]\n\nServes DNS/);
    }
    expect(await podwire("-bogus")).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^dns: unknown flag -bogus; allowed: -conf, -dns\.port/),
    });
    expect(await podwire("-conf", "absent")).toEqual({
      code: 1,
      stdout: "",
      stderr: "dns: there is no absent; name one with -conf FILE\n",
    });
  });

  it("says when it may not have the port, and what to do", async () => {
    if (!user) return;
    const { code, stderr } = await podwire();
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^dns: bind EACCES .*53; this port is for root alone: choose another one in the Corefile or with -dns\.port N\n$/,
    );
  });
});
