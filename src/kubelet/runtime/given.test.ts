import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readGiven, writeGiven } from "./given.ts";

describe("what a container's commands are started with", () => {
  let folder = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "pw-given-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("is what was noted, whatever its process is; nobody else can read it", () => {
    const given = { env: { A: "b=c\n", EMPTY: "", PATH: "/bin" }, cwd: "/srv" };
    writeGiven(folder, given);
    expect(readGiven(folder, -1)).toEqual(given);
    expect(readdirSync(folder)).toHaveLength(1);
    expect(statSync(join(folder, readdirSync(folder)[0] ?? "")).mode & 0o777).toBe(0o600);
  });

  it("is its process's own where nothing was noted", () => {
    expect(readGiven(folder, process.pid).cwd).toBe(process.cwd());
    expect(readGiven(folder, process.pid).env["PATH"]).toEqual(expect.stringContaining("/"));
    expect(() => readGiven(folder, -1)).toThrow("ENOENT");
  });

  it("is not guessed when the note cannot be read", () => {
    writeGiven(folder, { env: {}, cwd: "/" });
    writeFileSync(join(folder, readdirSync(folder)[0] ?? ""), "{");
    expect(() => readGiven(folder, process.pid)).toThrow(SyntaxError);
  });
});
