import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { writeAtomically } from "./atomicFolder.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "podwire-volume-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const files = (text: string, mode = 0o644) => new Map([["a", { data: Buffer.from(text), mode }]]);
const hidden = () => readdirSync(folder).filter((name) => /^\.\.[0-9]/.test(name));

describe("a volume's folder", () => {
  it("has files of the modes that were asked for, whatever the umask", () => {
    const before = process.umask(0o077);
    try {
      writeAtomically(folder, files("1", 0o777), new Date(1));
    } finally {
      process.umask(before);
    }
    expect(statSync(join(folder, "a")).mode & 0o777).toBe(0o777);
  });

  it("is written again after a writer that was ended in the middle, of which nothing stays", () => {
    writeAtomically(folder, files("1"), new Date(1));
    mkdirSync(join(folder, "..1970_01_01_00_00_00_002_1"));
    writeFileSync(join(folder, "..1970_01_01_00_00_00_002_1/a"), "half");
    symlinkSync("..1970_01_01_00_00_00_002_1", join(folder, "..data_tmp"));
    writeAtomically(folder, files("3"), new Date(3));
    expect(readFileSync(join(folder, "a"), "utf8")).toBe("3");
    expect(hidden()).toHaveLength(1);
    expect(readdirSync(folder)).not.toContain("..data_tmp");
    expect(readFileSync(join(folder, hidden()[0] ?? "", "a"), "utf8")).toBe("3");
  });
});
