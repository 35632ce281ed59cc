// A reporter for vitest: counts, the reasons of skips and the long tests' times, into the file of PODWIRE_RESULTS.
import fs from "node:fs";
import path from "node:path";
import { root } from "./paths.mjs";

export default class CountingReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0, reasons: {}, long: [] };
    for (const module of modules) {
      const file = path.relative(root, module.moduleId);
      let failedTests = 0;
      for (const test of module.children.allTests()) {
        const { state, note } = test.result();
        counts[state === "pending" ? "skipped" : state] += 1;
        if (state === "failed") failedTests += 1;
        if (state === "skipped") {
          const reason = note ?? test.meta().skipReason ?? `${file} (no reason given)`;
          counts.reasons[reason] = (counts.reasons[reason] ?? 0) + 1;
        }
        if (file.endsWith(".long.test.ts")) {
          counts.long.push({ file, name: test.fullName, state, seconds: (test.diagnostic()?.duration ?? 0) / 1000 });
        }
      }
      // A file that does not load has no tests to fail.
      if (module.state() === "failed" && failedTests === 0) counts.failed += 1;
    }
    const target = process.env.PODWIRE_RESULTS;
    if (!target) return;
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.writeFileSync(target, JSON.stringify(counts));
  }
}
