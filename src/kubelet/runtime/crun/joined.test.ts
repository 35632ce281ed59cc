import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { libc, syscallNumbers } from "#kernel/ffi/index.ts";
import { openJoined } from "./joined.ts";

describe("namespaces of a process that a container by crun enters", () => {
  const ended = /setns.*ESRCH/;

  it("of one that had ended before it was taken over: as of any that has ended", () => {
    expect(() => openJoined({ join: [{ pidfd: -1, namespaces: ["ipc"] }] })).toThrow(ended);
  });

  it("of one that lives, and of the same one when it has ended", async () => {
    const child = spawn("sleep", ["60"]);
    const pidfd = libc.syscall3(syscallNumbers().pidfdOpen, child.pid as number, 0, 0);
    const joined = openJoined({ join: [{ pidfd, namespaces: ["ipc", "uts"] }] });
    expect(joined.paths.map(({ kind }) => kind)).toEqual(["ipc", "uts"]);
    joined.close();
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(() => openJoined({ join: [{ pidfd, namespaces: ["ipc"] }] })).toThrow(ended);
    closeSync(pidfd);
  });
});
