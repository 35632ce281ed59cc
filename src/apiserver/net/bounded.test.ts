import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { readStart } from "./bounded.ts";

describe("the beginning of a stream", () => {
  it("is all of a short one", async () => {
    expect(await readStart(Readable.from([Buffer.from("ab"), Buffer.from("cd")]), 4)).toEqual({
      text: "abcd",
      whole: true,
    });
  });

  it("is all that is read of one without an end, which is ended", async () => {
    let taken = 0;
    const endless = new Readable({
      read() {
        taken += 1000;
        this.push(Buffer.alloc(1000, "x"));
      },
    });
    const { text, whole } = await readStart(endless, 2500);
    expect({ text, whole }).toEqual({ text: "x".repeat(2500), whole: false });
    expect(endless.destroyed).toBe(true);
    // A buffer's worth ahead, no more.
    expect(taken).toBeLessThan(2500 + 2 * endless.readableHighWaterMark);
  });

  it("is refused when the stream fails", async () => {
    const failing = new Readable({
      read() {
        this.destroy(new Error("reset"));
      },
    });
    await expect(readStart(failing, 10)).rejects.toThrow("reset");
  });
});
