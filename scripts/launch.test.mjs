import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { root } from "./lib/paths.mjs";

/** A small checkout: our scripts and dependencies, and a program of a few lines. */
const checkout = fs.mkdtempSync(path.join(os.tmpdir(), "podwire-checkout-"));
const source = path.join(checkout, "src/programs/podwire/main.ts");

function run(args, options = {}) {
  const result = spawnSync(path.join(checkout, "podwire"), args, { encoding: "utf8", ...options });
  return { code: result.status, out: result.stdout, err: result.stderr };
}

/** Writes the program; its time is a little ahead, so that a coarse clock does not matter. */
function write(text) {
  fs.mkdirSync(path.dirname(source), { recursive: true });
  fs.writeFileSync(source, text);
  const soon = new Date(Date.now() + 5);
  fs.utimesSync(source, soon, soon);
}

const builtAt = () => fs.statSync(path.join(checkout, "dist/stamp")).mtimeMs;

beforeAll(() => {
  fs.chmodSync(checkout, 0o755);
  for (const name of ["package.json", "package-lock.json", "podwire", "scripts"]) {
    fs.cpSync(path.join(root, name), path.join(checkout, name), { recursive: true });
  }
  fs.symlinkSync(path.join(root, "node_modules"), path.join(checkout, "node_modules"));
  write(`const [word = "", code = "0"] = process.argv.slice(2);
console.log("first", word, process.versions.node.split(".")[0] ?? "", process.env["PODWIRE_TOOLS"] ?? "");
process.exitCode = Number(code);`);
});

afterAll(() => fs.rmSync(checkout, { recursive: true, force: true }));

describe("the podwire script", () => {
  it("bundles, then runs under a Node new enough, with arguments, exit code and the tools' place", () => {
    const { code, out } = run(["hello", "3"]);
    expect(out).toMatch(/^first hello (2[4-9]|[3-9]\d) \/.*\/tools-[0-9a-f]{12}\n$/);
    expect(code).toBe(3);
  });

  it("builds nothing when nothing changed", () => {
    const before = builtAt();
    expect(run(["again"]).out).toContain("first again");
    expect(builtAt()).toBe(before);
  });

  it("goes on where there is no place for the machines' tools, and fetches none for what serves on this machine", () => {
    const env = { ...process.env, XDG_CACHE_HOME: "/dev/null" };
    const { code, out, err } = run(["hello"], { env });
    expect([code, out]).toEqual([0, expect.stringContaining("first hello")]);
    expect(err).toMatch(/^podwire: no place for the machines' tools: ENOTDIR: /);
    const traced = spawnSync("sh", ["-x", path.join(checkout, "podwire"), "dns"], { encoding: "utf8", env });
    expect([traced.status, traced.stdout]).toEqual([0, expect.stringContaining("first dns")]);
    expect(traced.stderr).not.toContain("--prepare"); // nothing is missing for it
  });

  it("is found through links, from any folder", () => {
    const link = path.join(checkout, "link");
    fs.symlinkSync("podwire", link);
    expect(spawnSync("sh", ["-c", "cd / && $0 linked", link], { encoding: "utf8" }).stdout).toContain("first linked");
  });

  it("runs from its code cache where the bundles are copied to", () => {
    const copy = path.join(checkout, "copy");
    fs.cpSync(path.join(checkout, "dist"), copy, { recursive: true });
    const env = { ...process.env, PODWIRE_CODE_CACHE: "say" };
    const result = spawnSync(process.execPath, [path.join(copy, "podwire.cjs"), "copied"], { encoding: "utf8", env });
    expect(result.stdout).toContain("first copied");
    expect(result.stderr).toContain("code cache taken");
  });

  it("keeps the old bundles and names file and line when a source has a mistake", () => {
    write("const x = ;");
    const { code, err } = run([]);
    expect(code).toBe(1);
    expect(err).toMatch(/src\/programs\/podwire\/main\.ts:1: /);
    expect(fs.existsSync(path.join(checkout, "dist/podwire.cjs"))).toBe(true);
  });

  it("bundles anew after a change", () => {
    write('console.log("second");');
    expect(run([]).out).toBe("second\n");
  });

  it("tells a user who may not write here what to do", (context) => {
    context.skip(process.getuid() !== 0, "only root becomes another user");
    write('console.log("third");');
    const { code, err } = run([], { uid: 65534, gid: 65534, env: { ...process.env, HOME: "/nonexistent" } });
    expect(code).toBe(1);
    expect(err).toMatch(/the programs are not built, and .* belongs to uid 0: its owner runs `npm start` once/);
  });
});
