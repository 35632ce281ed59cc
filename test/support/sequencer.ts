import { basename } from "node:path";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Files that take longer than their size says, those that take longest first. */
const LONG_ONES = [
  ...["otherKernel", "safety", "images", "run", "cni", "transcripts", "firstLight", "documents", "ending"],
  ...["agentRestart", "runDocument", "streamsOfUsers", "change", "look", "other", "alone", "charts"],
].map((name) => `${name}.test.ts`);

/** Begins with what takes long: a long file that begins last leaves the other cores without work. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const place = ({ moduleId }: TestSpecification): number => {
      const index = LONG_ONES.indexOf(basename(moduleId));
      return index === -1 ? LONG_ONES.length : index;
    };
    return sorted.toSorted((a, b) => place(a) - place(b));
  }
}
