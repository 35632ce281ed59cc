import { describe, expect, it } from "vitest";
import { Turns } from "./turns.ts";

describe("turns of the event loop", () => {
  it("lets other work in between, keeps the order, and the first does not wait", async () => {
    const turns = new Turns();
    const seen: string[] = [];
    const others = new Promise<void>((resolve) => {
      const other = (left: number): void => {
        seen.push("other");
        if (left === 0) resolve();
        else setImmediate(other, left - 1);
      };
      setImmediate(other, 3);
    });
    const pieces = ["a", "b", "c"].map(async (name) => {
      await turns.next();
      seen.push(name);
    });
    await Promise.resolve();
    await Promise.resolve();
    expect(seen).toEqual(["a"]);
    await Promise.all([...pieces, others]);
    expect(seen.filter((name) => name !== "other")).toEqual(["a", "b", "c"]);
    for (const [i, name] of seen.entries()) if (i > 0 && name !== "other") expect(seen[i - 1]).toBe("other");
    // Later, nobody is before.
    await new Promise((resolve) => setImmediate(resolve));
    let isMine = false;
    void turns.next().then(() => (isMine = true));
    await Promise.resolve();
    expect(isMine).toBe(true);
  });
});
