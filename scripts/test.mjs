// npm test [-- --long] [files…]: sets up, checks, runs every test, and ends with the counts.
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { ensureBundles } from "./lib/bundle.mjs";
import { runChecks } from "./lib/checks.mjs";
import { ensureModules, findNode } from "./lib/modules.mjs";
import { root } from "./lib/paths.mjs";
import { Refusal, runMain, say } from "./lib/say.mjs";
import { ensureKubectl, ensureTestPackages } from "./lib/testneeds.mjs";
import { ensureTools } from "./lib/tools.mjs";

const results = path.join(root, ".cache", "test-results.json");

/** What an ordinary user needs to be root over namespaces of their own, with a /run to write to. */
function asRootOfNamespaces() {
  const root = ["unshare", "--user", "--map-root-user"];
  // Whoever has subordinate ids gets them too (--map-auto): some tests become other users.
  const all = [...root, "--map-auto"];
  const { status } = spawnSync(all[0], [...all.slice(1), "true"], { stdio: "ignore", timeout: 10_000 });
  return [
    ...(status === 0 ? all : root),
    ..."--mount --net --pid --ipc --uts --cgroup --time --fork --kill-child --mount-proc".split(" "),
    ...["sh", "-c", 'mount -t tmpfs run /run && exec "$@"', "sh"],
  ];
}

/** Runs vitest under the Node that runs podwire; resolves to its exit code. */
function runVitest(prefix, node, env, args) {
  const vitest = path.join(root, "node_modules/vitest/vitest.mjs");
  const reporters = ["--reporter=default", `--reporter=${path.join(root, "scripts/lib/reporter.mjs")}`];
  const [command, ...words] = [...prefix, node, vitest, "run", "--passWithNoTests", ...reporters, ...args];
  const child = spawn(command, words, { cwd: root, env, stdio: ["ignore", "inherit", "inherit"] });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => resolve(code ?? 1));
  });
}

function readResults() {
  try {
    return JSON.parse(fs.readFileSync(results, "utf8"));
  } catch {
    return { passed: 0, failed: 1, skipped: 0, reasons: {}, long: [] };
  }
}

/** Runs vitest; adds its counts to `counts`. */
async function countTests(counts, prefix, node, env, args) {
  fs.rmSync(results, { force: true });
  const code = await runVitest(prefix, node, env, args);
  const own = readResults();
  for (const key of ["passed", "failed", "skipped"]) counts[key] += own[key];
  for (const [reason, count] of Object.entries(own.reasons))
    counts.reasons[reason] = (counts.reasons[reason] ?? 0) + count;
  counts.long.push(...own.long);
  if (code !== 0 && own.failed === 0) counts.failed += 1;
}

/** Root runs everything at once; of an ordinary user, the tests of the kernel are root in namespaces of their own. */
async function runTests(node, env, chosen) {
  const counts = { passed: 0, failed: 0, skipped: 0, reasons: {}, long: [] };
  if (process.getuid() === 0) await countTests(counts, [], node, env, chosen);
  else {
    const crun = env.PODWIRE_LONG === "1" ? ["--project=crun"] : [];
    await countTests(counts, asRootOfNamespaces(), node, env, ["--project=kernel", ...crun, ...chosen]);
    await countTests(counts, [], node, env, ["--project=unit", "--project=e2e*", ...chosen]);
  }
  return counts;
}

/** docs/test-long.md, below its last heading: the last run of the long tests. */
function writeLongPage(long, node) {
  const page = path.join(root, "docs/test-long.md");
  const heading = "## Last results";
  const [text] = fs.readFileSync(page, "utf8").split(heading);
  const rows = long.map(
    ({ file, name, state, seconds }) =>
      `| ${name.replaceAll("|", "\\|")} | [${file}](../${file}) | ${state} | ${seconds.toFixed(1)} |`,
  );
  const results = [
    heading,
    "",
    `Written by \`npm run test:long\` on ${new Date().toISOString().slice(0, 10)}, Node ${node}.`,
    "",
    "| test | file | result | seconds |",
    "| --- | --- | --- | --- |",
  ];
  fs.writeFileSync(page, `${text}${[...results, ...rows].join("\n")}\n`);
}

/** Sources that do not bundle are a failure among others: the unit tests run all the same. */
async function bundle() {
  try {
    await ensureBundles();
    return 0;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    say(error.message);
    return 1;
  }
}

await runMain(async () => {
  const args = process.argv.slice(2);
  const long = args.includes("--long");
  const chosen = args.filter((word) => word !== "--long");
  await ensureModules();
  ensureTestPackages();
  const tools = await ensureTools();
  const kubectl = await ensureKubectl();
  const checks = chosen.length > 0 ? { passed: 0, failed: 0 } : await runChecks();
  checks.failed += await bundle();
  const env = {
    ...process.env,
    PODWIRE_TOOLS: tools,
    PODWIRE_RESULTS: results,
    // Or they cannot be made, which is counted above; the tests tell the rest.
    PODWIRE_BUNDLES: "made",
    PODWIRE_TEST_KUBECTL: kubectl,
    ...(long ? { PODWIRE_LONG: "1" } : {}),
  };
  const counts = await runTests(findNode(), env, chosen);
  if (long) writeLongPage(counts.long, process.versions.node);
  for (const [reason, count] of Object.entries(counts.reasons)) process.stdout.write(`skipped ${count}: ${reason}\n`);
  const failed = counts.failed + checks.failed;
  process.stdout.write(`${counts.passed + checks.passed} passed, ${failed} failed, ${counts.skipped} skipped\n`);
  return failed === 0 ? 0 : 1;
});
