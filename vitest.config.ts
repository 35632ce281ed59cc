import { existsSync } from "node:fs";
import { availableParallelism, homedir } from "node:os";
import path from "node:path";
import { defineConfig } from "vitest/config";
import { toolsDirectory } from "./scripts/lib/tools.mjs";
import { aloneFiles } from "./test/support/alone.ts";
import { LongestFirst } from "./test/support/sequencer.ts";

const long = process.env["PODWIRE_LONG"] === "1";

/** Where tests find the machines' tools and kubectl, also when vitest is started by hand. */
const tools = process.env["PODWIRE_TOOLS"] ?? toolsDirectory();
const triplet = process.arch === "arm64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";
const below = (folder: string): string => path.join(tools, "root/usr", folder);
const kubectl = path.join(
  process.env["XDG_CACHE_HOME"] || path.join(homedir(), ".cache"),
  "podwire/kubectl-1.36.4/bin/kubectl",
);

const env: Record<string, string> = {
  PODWIRE_TOOLS: tools,
  // Programs that tests start from their sources: Node keeps what it made of them, two thirds of their start.
  NODE_COMPILE_CACHE: path.join(import.meta.dirname, ".cache/node"),
  // The host's own programs come first; what only the tools have is found all the same.
  PATH: [process.env["PATH"], "/usr/sbin", "/sbin", below("sbin"), below("bin"), path.dirname(kubectl)].join(":"),
  LD_LIBRARY_PATH: [process.env["LD_LIBRARY_PATH"], below(`lib/${triplet}`)].filter(Boolean).join(":"),
  XTABLES_LIBDIR: [`/usr/lib/${triplet}/xtables`, below(`lib/${triplet}/xtables`)]
    .filter((name) => existsSync(name))
    .join(":"),
  ...(existsSync(kubectl) ? { PODWIRE_TEST_KUBECTL: process.env["PODWIRE_TEST_KUBECTL"] ?? kubectl } : {}),
};

/** Clusters and machines run bundles: they are made anew when a source has changed. */
const globalSetup = "./scripts/lib/freshBundles.mjs";

/** Skips, by name and with a reason, what a project cannot run of the files that it shares with another. */
const EXCEPTIONS = "./test/support/exceptionsRunner.ts";

/** The suite of pods runs once more on the other container runtime. */
const crun = {
  extends: true as const,
  test: {
    name: "crun",
    include: ["test/kernel/kubelet-*.test.ts"],
    exclude: ["test/kernel/kubelet-crun.test.ts"],
    globalSetup,
    runner: EXCEPTIONS,
    env: { ...env, PODWIRE_TEST_RUNTIME: "crun" },
  },
};

const exclude = long ? [] : ["**/*.long.test.ts"];

const alone = aloneFiles.map((name) => `test/e2e/${name}.test.ts`);

/** Files with clusters that run at a time. */
const CLUSTERS = 3;

/** Tests of whole clusters, after everything else. */
const e2e = {
  exclude,
  globalSetup,
  testTimeout: long ? 1_800_000 : 120_000,
  hookTimeout: 120_000,
  // Asking takes a process each time, and a tenth of a second of a core.
  expect: { poll: { timeout: 15_000, interval: 100 } },
};

/** Clusters once more without templates: `images: strict`, and images that the tests make. */
const strict = {
  extends: true as const,
  test: {
    ...e2e,
    name: "e2e-strict",
    include: ["test/e2e/**/*.test.ts"],
    runner: EXCEPTIONS,
    env: { ...env, PODWIRE_TEST_IMAGES: "strict" },
    maxWorkers: CLUSTERS,
    sequence: { groupOrder: 3 },
  },
};

export default defineConfig({
  test: {
    env,
    pool: "forks",
    // The default leaves a core to the person at the machine; with two that is half of it. And some tests wait.
    maxWorkers: Math.max(3, availableParallelism() - 1),
    // Bounds for what hangs, not for what is slow: a machine with two busy cores takes its time.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 15_000, interval: 20 } },
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          // No module holds state and no test replaces one: half of the time would go into loading them again.
          isolate: false,
          include: [
            "src/**/*.test.ts",
            "scripts/**/*.test.mjs",
            "test/docs/**/*.test.ts",
            "test/transcripts/**/*.test.ts",
            "bench/**/*.test.ts",
          ],
          exclude,
        },
      },
      {
        // On the real kernel, in namespaces of their own.
        extends: true,
        test: {
          name: "kernel",
          include: ["test/kernel/**/*.test.ts"],
          exclude,
          globalSetup,
          // An agent starts from its sources: tens of seconds where others want the cores.
          testTimeout: 60_000,
        },
      },
      ...(long ? [crun] : []),
      {
        // Most of such a test's time is waiting for nodes and pods: some of them fill the machine.
        extends: true,
        test: {
          ...e2e,
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          exclude: [...exclude, ...alone],
          maxWorkers: CLUSTERS,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: { ...e2e, name: "e2e-alone", include: alone, maxWorkers: long ? 1 : 2, sequence: { groupOrder: 2 } },
      },
      ...(long ? [strict] : []),
    ],
  },
});
