import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findProgram } from "./lookup.ts";
import { type StarterPlan, starterFile } from "./starter.ts";

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "pw-starter-"));
});
afterEach(() => rmSync(base, { recursive: true }));

/** Runs a starter with something on descriptor 3. */
function start(plan: Partial<StarterPlan>, gate = "") {
  const file = join(base, "starter");
  writeFileSync(file, starterFile({ program: "/bin/sh", argv: ["sh"], env: [], close: [], ...plan }));
  chmodSync(file, 0o755);
  const { status, stdout } = spawnSync(
    "sh",
    ["-c", `printf '%s' '${gate}' | { exec 3<&0 0</dev/null; exec "$0"; }`, file],
    { encoding: "utf8" },
  );
  return { status, stdout };
}

const say = (script: string) => ({ argv: ["sh", "-c", script, "name"] });
const asRoot = process.getuid?.() === 0 ? {} : { skip: true, meta: { skipReason: "changing users needs root" } };

describe("the starter of containers", () => {
  it("becomes its program, with arguments and environment, when the gate says so", () => {
    expect(start({ ...say('echo "$0 $A"; env | wc -l'), env: ["A=b c"], gate: 3, close: [3] }, "/\n")).toEqual({
      status: 0,
      stdout: expect.stringMatching(/^name b c\n/),
    });
    // A gate that closes, or says anything else, lets nothing through.
    expect(start({ ...say("echo no"), gate: 3 })).toEqual({ status: 125, stdout: "" });
    expect(start({ ...say("echo no"), gate: 3 }, "\u0001")).toEqual({ status: 125, stdout: "" });
  });

  it("ends with 126 when the program cannot be executed", () => {
    expect(start({ program: "/nowhere" }).status).toBe(126);
  });

  it("drops what is not kept, and who it was", asRoot, () => {
    const script = "grep -E '^(Uid|Gid|Groups|CapInh|CapEff|CapBnd|NoNewPrivs)' /proc/self/status";
    const user = { uid: 1234, gid: 5678, groups: [9, 10] };
    // Numbers of capabilities(7): chown 0, net_bind_service 10.
    expect(start({ ...say(script), user, capabilities: ["chown", "net_bind_service"] }).stdout).toBe(
      "Uid:\t1234\t1234\t1234\t1234\nGid:\t5678\t5678\t5678\t5678\nGroups:\t9 10 \nCapInh:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000401\nNoNewPrivs:\t1\n",
    );
    const own = start({ ...say("grep -E '^(CapEff|CapBnd)' /proc/self/status"), capabilities: ["chown"] }).stdout;
    expect(own).toBe("CapEff:\t0000000000000001\nCapBnd:\t0000000000000001\n");
    expect(() => start({ capabilities: ["nothing"] })).toThrow('unknown capability "CAP_NOTHING"');
  });

  it("is made for both architectures: the same table behind their own code", () => {
    const plan = { program: "/p", argv: ["p"], env: [], close: [] };
    const [x64, arm64] = [starterFile(plan, "x64"), starterFile(plan, "arm64")];
    // ELF64, little-endian; e_machine 62 and 183 (elf.h).
    expect([x64.readUInt32BE(0), x64[4], x64.readUInt16LE(18), arm64.readUInt16LE(18)]).toEqual([
      0x7f454c46, 2, 62, 183,
    ]);
    const table = (file: Buffer, code: number) => Number(file.readBigInt64LE(64 + 3 * 56 + code));
    // execve: 59 on x64, 221 on arm64 (asm/unistd.h).
    expect([table(x64, 64), table(arm64, 56)]).toEqual([59, 221]);
    expect(() => starterFile(plan, "riscv64")).toThrow("x64 and arm64");
  });
});

describe("programs of a root", () => {
  it("are found as execvp(3) finds them, or missed in runc's words", () => {
    writeFileSync(join(base, "tool"), "", { mode: 0o755 });
    writeFileSync(join(base, "text"), "", { mode: 0o644 });
    const env = { PATH: `/nowhere:${base}` };
    expect(findProgram("tool", env, "/")).toBe(join(base, "tool"));
    expect(findProgram("./tool", {}, base)).toBe(join(base, "tool"));
    expect(findProgram("sh", {}, "/")).toMatch(/\/bin\/sh$/);
    expect(() => findProgram("text", env, "/")).toThrow('exec: "text": executable file not found in $PATH');
    expect(() => findProgram("/nowhere/x", env, "/")).toThrow(
      'exec: "/nowhere/x": stat /nowhere/x: no such file or directory',
    );
    expect(() => findProgram(join(base, "text"), env, "/")).toThrow("permission denied");
    expect(() => findProgram(base, env, "/")).toThrow("permission denied");
  });
});
