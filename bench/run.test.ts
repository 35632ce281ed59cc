import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { processTree, proportionalSize, readOf } from "./lib/processes.ts";

/** A benchmark that measures nothing. */
const STUB = `import { compared } from "./lib/benchmark.ts";
export default {
  title: "a stub",
  run: async ({ quick, log }) => {
    log("measuring");
    const alone = { name: "alone", value: quick ? 1 : 2, unit: "ms", better: "lower" };
    return {
      results: [alone, compared({ name: "both", value: 6, unit: "1/s", better: "higher" }, "other", 3)],
      tables: [{ title: "Shown to people", rows: [["a", "b"]] }],
    };
  },
};
`;

/** One that is told a runtime. */
const RUNTIMES = `export default {
  title: "runtimes",
  takesRuntime: true,
  run: async ({ runtime, log }) => {
    log("with " + runtime);
    return { results: [] };
  },
};
`;

describe("npm run bench", () => {
  const folder = mkdtempSync(join(tmpdir(), "pw-bench-"));
  const bench = (...args: string[]) => {
    const words = [join(folder, "run.ts"), ...args];
    const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: "utf8" });
    return { status, stdout, stderr };
  };

  beforeAll(() => {
    for (const name of ["run.ts", "lib"])
      cpSync(join(import.meta.dirname, name), join(folder, name), { recursive: true });
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    writeFileSync(join(folder, "stub.ts"), STUB);
    writeFileSync(join(folder, "runtimes.ts"), RUNTIMES);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("prints one JSON object with --json: the benchmark, the machine, the results", () => {
    const { status, stdout, stderr } = bench("stub", "--json");
    expect(stderr).toBe("measuring\n");
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toStrictEqual({
      bench: "stub",
      machine: {
        cpu: expect.any(String),
        cores: expect.any(Number),
        memoryMb: expect.any(Number),
        kernel: expect.any(String),
        node: process.versions.node,
        load: expect.any(Number),
      },
      results: [
        { name: "alone", value: 2, unit: "ms", better: "lower" },
        { name: "both", value: 6, unit: "1/s", better: "higher", peer: "other", peerValue: 3, ratio: 2 },
      ],
    });
  });

  it("prints figures and tables for people, fewer repetitions with --quick", () => {
    const { status, stdout } = bench("stub", "--quick");
    expect(status).toBe(0);
    expect(stdout).toMatch(/^ {2}alone +1\.00 ms +lower is better$/m);
    expect(stdout).toContain("other 3.00 1/s, ratio 2.00");
    expect(stdout).toContain("Shown to people");
  });

  it("hands a runtime on to a benchmark that starts containers, and refuses it to others", () => {
    const { status, stderr } = bench("stub", "--runtime", "crun");
    expect(stderr).toBe("bench: stub has no use for --runtime\n");
    expect(status).toBe(2);
    const taken = bench("runtimes", "--runtime", "crun", "--json");
    expect(taken.stderr).toBe("with crun\n");
    expect(taken.status).toBe(0);
  });

  it("names the benchmarks there are, and refuses another", () => {
    expect(bench().stdout).toContain("  stub           a stub\n");
    const { status, stderr } = bench("nothing");
    expect(stderr).toBe("bench: there is no benchmark nothing; allowed: runtimes, stub\n");
    expect(status).toBe(2);
  });
});

describe("what a process takes", () => {
  it("is nothing when it is gone, and a failure when it cannot be read", () => {
    const gone = spawnSync("true").pid;
    expect(proportionalSize(gone)).toBe(0);
    expect(proportionalSize(process.pid)).toBeGreaterThan(1000);
    expect(processTree(process.pid)).toContain(process.pid);
    expect(() => readOf(process.pid, "task")).toThrow("EISDIR");
  });
});
