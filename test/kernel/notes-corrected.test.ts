import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { consoleBlocks, runBlock } from "#test/docs/console.ts";

const document = readFileSync(new URL("../../docs/notes-corrected.md", import.meta.url), "utf8");
const blocks = consoleBlocks(document).filter((block) => block.where === "netns");

/** An empty network namespace, with a /run of its own for `ip netns`; as an ordinary user inside a user namespace. */
const asRoot = process.geteuid?.() === 0 ? [] : ["--user", "--map-root-user"];
const launcher = [
  "unshare",
  ...asRoot,
  "--net",
  "--mount",
  "--propagation",
  "private",
  "sh",
  "-c",
  "mount -t tmpfs run /run && exec sh",
];

describe("U03 docs/notes-corrected.md (part: what the kernel and its tools say)", () => {
  test.each(blocks.map((block) => [block.heading, block] as const))("%s", async (_heading, block) => {
    expect(await runBlock(block, launcher)).toEqual([]);
  });
});
