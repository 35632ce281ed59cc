import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { programFault, startFailure } from "./program.ts";

const root = mkdtempSync(join(tmpdir(), "pw-program-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
mkdirSync(join(root, "usr/bin"), { recursive: true });
mkdirSync(join(root, "work"));
for (const name of ["usr/bin/tool", "work/local", "work/text"]) writeFileSync(join(root, name), "");
for (const name of ["usr/bin/tool", "work/local"]) chmodSync(join(root, name), 0o755);
// As in a container: it leads inside, wherever the container's root is.
symlinkSync("/usr/bin", join(root, "bin"));
const view = { root, cwd: "/work", path: "/nowhere:/bin" };

describe("U02 a program that cannot be started (part: upstream's words)", () => {
  it.each([
    ["tool", undefined],
    ["/bin/tool", undefined],
    ["./local", undefined],
    ["local", 'exec: "local": executable file not found in $PATH'],
    ["nope", 'exec: "nope": executable file not found in $PATH'],
    ["/bin/nope", 'exec: "/bin/nope": stat /bin/nope: no such file or directory'],
    ["./text", 'exec: "./text": permission denied'],
    ["/usr/bin", 'exec: "/usr/bin": is a directory'],
    ["/../../../../bin/tool", undefined],
  ])("%s", (name, fault) => {
    expect(programFault(name, view)).toBe(fault);
  });

  it("stands in the whole of containerd's and runc's message", () => {
    expect(startFailure("ab", 'exec: "x": is a directory')).toBe(
      'failed to exec in container: failed to start exec "ab": OCI runtime exec failed: exec failed: unable to start container process: exec: "x": is a directory: unknown',
    );
  });
});
