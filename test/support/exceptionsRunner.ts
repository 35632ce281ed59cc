import { basename } from "node:path";
import { describe, TestRunner } from "vitest";
import { exceptionFor } from "./exceptions.ts";

/**
 * The runner of vitest's projects that run files of others once more: tests of files that cannot run so are skipped, by
 * their names, with the reason for the counts at the end of a run.
 */
export default class ExceptionsRunner extends TestRunner {
  override importFile(path: string, source: "collect" | "setup"): unknown {
    const skipReason = source === "collect" ? exceptionFor(basename(path), process.env) : undefined;
    if (skipReason === undefined) return super.importFile(path, source);
    const load = async () => void (await super.importFile(path, source));
    return describe("not run here", { skip: true, meta: { skipReason } }, load);
  }
}
