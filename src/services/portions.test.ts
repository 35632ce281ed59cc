import { describe, expect, it } from "vitest";
import type { ServiceBackend } from "./backends/index.ts";
import { putIntoEffect } from "./portions.ts";

/** A backend of which each step is written down; commits end when told to. */
function stepped(isEmpty: boolean | undefined) {
  const steps: string[] = [];
  const commits: PromiseWithResolvers<void>[] = [];
  const backend = {
    commit() {
      steps.push("commit");
      const commit = Promise.withResolvers<void>();
      commits.push(commit);
      return commit.promise;
    },
    ...(isEmpty !== undefined && { isEmpty: () => isEmpty }),
  } as unknown as ServiceBackend;
  const readBack = async () => void steps.push("readBack");
  let computed = 0;
  const compute = () => {
    computed++;
    if (steps.at(-1) !== "compute") steps.push("compute");
  };
  return { backend, steps, commits, readBack, compute, computed: () => computed };
}

const keys = (count: number) => new Set(Array.from({ length: count }, (_, i) => `shop/web-${i}`));
/** All that can go on has gone on. */
const quiet = () => new Promise(setImmediate);

describe("V04 how Services come into effect (part: in which commits)", () => {
  it.each([
    ["a backend that cannot tell: all is marked before it reads", undefined, true, ["compute", "readBack", "commit"]],
    ["something is there: all in one commit", false, true, ["readBack", "compute", "commit"]],
    ["later changes", true, false, ["compute", "commit"]],
  ])("%s", async (_, isEmpty, isUnknown, expected) => {
    const { backend, steps, commits, readBack, compute, computed } = stepped(isEmpty);
    const done = putIntoEffect(backend, keys(2000), isUnknown ? readBack : undefined, compute);
    await quiet();
    expect(steps).toEqual(expected);
    expect(computed()).toBe(2000);
    commits[0]?.resolve();
    await done;
  });

  it("nothing is there: in portions, of which one waits while another is in the kernel", async () => {
    const { backend, steps, commits, readBack, compute, computed } = stepped(true);
    const waiting = keys(2000);
    const done = putIntoEffect(backend, waiting, readBack, compute);
    await quiet();
    expect(steps).toEqual(["readBack", "compute", "commit", "compute", "commit", "compute"]);
    expect(waiting.size + computed()).toBe(2000);
    for (const _ of [1, 2, 3, 4]) {
      for (const commit of commits) commit.resolve();
      await quiet();
    }
    await done;
    expect(computed()).toBe(2000);
    expect(steps.filter((step) => step === "commit")).toHaveLength(4);
  });

  it("one that fails ends it; what has not been computed is left", async () => {
    const { backend, commits, readBack, compute, computed } = stepped(true);
    const waiting = keys(2000);
    const done = putIntoEffect(backend, waiting, readBack, compute);
    await quiet();
    let hasEnded = false;
    done.catch(() => {}).finally(() => (hasEnded = true));
    commits[0]?.reject(new Error("no room"));
    await quiet();
    // The other one is in the kernel still.
    expect(hasEnded).toBe(false);
    commits[1]?.reject(new Error("nor for this"));
    await expect(done).rejects.toThrow("no room");
    expect(waiting.size).toBe(2000 - computed());
    expect(waiting.size).toBeGreaterThan(0);
  });

  it("nothing to put: one commit all the same, for what is left over", async () => {
    const { backend, steps, commits, readBack, compute } = stepped(true);
    const done = putIntoEffect(backend, new Set(), readBack, compute);
    await quiet();
    commits[0]?.resolve();
    await done;
    expect(steps).toEqual(["readBack", "commit"]);
  });
});
