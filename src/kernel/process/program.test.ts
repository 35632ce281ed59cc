import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { findProgram, ProgramError } from "./program.ts";

const root = mkdtempSync(join(tmpdir(), "pw-program-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
mkdirSync(join(root, "usr/bin"), { recursive: true });
mkdirSync(join(root, "work"));
for (const name of ["usr/bin/tool", "work/local", "work/text"]) writeFileSync(join(root, name), "");
for (const name of ["usr/bin/tool", "work/local"]) chmodSync(join(root, name), 0o755);
// As in a container: it leads inside, wherever the container's root is.
symlinkSync("/usr/bin", join(root, "bin"));
const view = { root, cwd: "/work", path: "/nowhere:/bin" };

describe("U02 a program that is to be started (part: where it is, and upstream's words when it is not)", () => {
  it.each([
    ["tool", "/bin/tool"],
    ["/bin/tool", "/bin/tool"],
    ["./local", "./local"],
    ["/../../../../bin/tool", "/../../../../bin/tool"],
  ])("%s is at %s", (name, path) => {
    expect(findProgram(name, view)).toBe(path);
  });

  it.each([
    ["local", 'exec: "local": executable file not found in $PATH'],
    ["nope", 'exec: "nope": executable file not found in $PATH'],
    ["/bin/nope", 'exec: "/bin/nope": stat /bin/nope: no such file or directory'],
    ["./text", 'exec: "./text": permission denied'],
    ["/usr/bin", 'exec: "/usr/bin": is a directory'],
  ])("%s is not to be had", (name, fault) => {
    expect(() => findProgram(name, view)).toThrow(ProgramError);
    expect(() => findProgram(name, view)).toThrow(fault);
  });
});
