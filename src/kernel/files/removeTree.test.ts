import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { removeTree } from "./index.ts";

describe("a folder goes with all that is in it", () => {
  let outside: string;
  beforeAll(() => {
    outside = mkdtempSync(join(tmpdir(), "pw-tree-"));
    writeFileSync(join(outside, "kept"), "kept");
  });
  afterAll(() => rmSync(outside, { recursive: true }));

  it("whose paths are longer than the kernel takes, and which others lie beside", async () => {
    const folder = join(outside, "tree");
    mkdirSync(join(folder, "beside/it"), { recursive: true });
    // A shell keeps its folder's whole path.
    const deeper = `mkdirSync(name); writeFileSync("file", ""); symlinkSync(${JSON.stringify(outside)}, "link"); chdir(name);`;
    const script = `const { chdir } = process, { mkdirSync, symlinkSync, writeFileSync } = require("fs");
      const name = "x".repeat(200); for (let i = 0; i < 40; i++) { ${deeper} }`;
    execFileSync(process.execPath, ["-e", script], { cwd: folder });
    await removeTree(folder);
    expect(existsSync(folder)).toBe(false);
    expect(readFileSync(join(outside, "kept"), "utf8")).toBe("kept");
  });

  it("that is not there", async () => {
    await removeTree(join(outside, "nothing"));
  });
});
