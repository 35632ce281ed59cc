import { fstatSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { SysError } from "#kernel/ffi/index.ts";
import { confineDevices } from "./devices.ts";

const EPERM = 1;

it("the program of a cluster's devices is given back when the kernel does not attach it", () => {
  const folder = mkdtempSync(join(tmpdir(), "pw-own-"));
  const program = openSync("/dev/null", "r");
  let calls = 0;
  try {
    const call = () => {
      // The first loads it, the second attaches it.
      if (calls++ === 0) return program;
      throw new SysError("bpf", EPERM, "programAttach");
    };
    expect(() => confineDevices(folder, call)).toThrow("EPERM");
    expect(() => fstatSync(program)).toThrow("EBADF");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
