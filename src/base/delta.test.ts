import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DeltaTracker } from "./delta.ts";

/** Does what `pending` says to a map. */
function perform(tracker: DeltaTracker<number, number>, world: Map<number, number>): void {
  const { add, change, remove } = tracker.pending();
  for (const [key, value] of [...add, ...change]) world.set(key, value);
  for (const [key] of remove) world.delete(key);
  tracker.applied();
}

describe("DeltaTracker", () => {
  it("tells additions, changes and removals apart", () => {
    const tracker = new DeltaTracker<string, number>();
    tracker.replaceActual([
      ["same", 1],
      ["other", 2],
      ["gone", 3],
    ]);
    tracker.setDesired("same", 1);
    tracker.setDesired("other", 20);
    tracker.setDesired("new", 4);
    expect(tracker.pending()).toEqual({
      add: [["new", 4]],
      change: [["other", 20]],
      remove: [["gone", 3]],
      same: [["same", 1]],
    });
    tracker.applied();
    expect(tracker.pending()).toEqual({ add: [], change: [], remove: [], same: [] });
  });

  it("ends in the desired state from any state by any path", () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("set" as const), key: fc.nat(5), value: fc.nat(3) }),
      fc.record({ kind: fc.constant("delete" as const), key: fc.nat(5), value: fc.nat(3) }),
      fc.record({ kind: fc.constant("apply" as const), key: fc.nat(5), value: fc.nat(3) }),
      fc.record({ kind: fc.constant("reread" as const), key: fc.nat(5), value: fc.nat(3) }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(5), fc.nat(3))), fc.array(step), (start, steps) => {
        const world = new Map(start);
        const tracker = new DeltaTracker<number, number>();
        tracker.replaceActual(world);
        const wish = new Map<number, number>();
        for (const { kind, key, value } of steps) {
          if (kind === "set") {
            wish.set(key, value);
            tracker.setDesired(key, value);
          } else if (kind === "delete") {
            wish.delete(key);
            tracker.deleteDesired(key);
          } else if (kind === "apply") perform(tracker, world);
          else tracker.replaceActual(world);
        }
        perform(tracker, world);
        expect(new Map([...world].sort())).toEqual(new Map([...wish].sort()));
      }),
      { seed: 7 },
    );
  });
});
