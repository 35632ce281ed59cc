import { describe, expect, it } from "vitest";
import { Progress } from "./progress.ts";

function shown(isTTY: boolean): string {
  const words: string[] = [];
  const progress = new Progress({ isTTY, write: (text) => words.push(text) }, ["engine", "api", "nodes ready"]);
  progress.done("engine", 80.4);
  progress.done("api", 300);
  progress.end();
  // Colours depend on where the tests run.
  return ["32m", "39m", "2m", "22m"].reduce((text, code) => text.replaceAll(`\u001b[${code}`, ""), words.join(""));
}

describe("progress of a start", () => {
  it("is plain lines where nobody looks", () => {
    expect(shown(false)).toBe("✓ engine                80 ms\n✓ api                  300 ms\n");
  });

  it("shows on a terminal what is under way, and clears it", () => {
    expect(shown(true)).toBe(
      "… engine\r\u001b[K✓ engine                80 ms\n… api\r\u001b[K✓ api                  300 ms\n… nodes ready\r\u001b[K",
    );
  });
});
