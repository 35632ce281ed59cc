import { describe, expect, test } from "vitest";
import { consoleBlocks, looksOnly, outputMatches, runBlock } from "./console.ts";

const document = `
# Title
## One
\`\`\`console netns
$ echo a; echo b >&2
a
b
$ X=1 \\
    && echo $X
1
\`\`\`
\`\`\`yaml
$ not: this
\`\`\`
\`\`\`console
$ true
\`\`\`
`;

describe("U03 documents are run (part: the reader of console blocks)", () => {
  test("reads places, headings, commands and their output", () => {
    const [first, second] = consoleBlocks(document);
    expect(first).toMatchObject({ where: "netns", heading: "One" });
    expect(first?.steps).toEqual([
      { command: "echo a; echo b >&2", expected: ["a", "b"], line: 5 },
      { command: "X=1 \\\n    && echo $X", expected: ["1"], line: 8 },
    ]);
    expect(second).toMatchObject({ where: "host", steps: [{ command: "true" }] });
  });

  test("… stands for a part of a line or for lines", () => {
    expect(outputMatches(["time=… ms"], "time=0.6 ms\n")).toBe(true);
    expect(outputMatches(["time=… ms"], "time=0.6\n ms\n")).toBe(false);
    expect(outputMatches(["a", "…", "z"], "a\nb\nc\nz")).toBe(true);
    expect(outputMatches(["a", "…", "z"], "a\nz")).toBe(true);
    expect(outputMatches(["a", "…"], "a\nb\nc")).toBe(true);
    expect(outputMatches(["…", "z"], "y\nz\n")).toBe(true);
    expect(outputMatches([], "")).toBe(true);
    expect(outputMatches([], "x")).toBe(false);
    expect(outputMatches(["a.c"], "abc")).toBe(false);
  });

  test("tells blocks that only look from those that change something", () => {
    const looks = (...commands: string[]) =>
      looksOnly({ where: "host", heading: "", steps: commands.map((command) => ({ command, expected: [], line: 1 })) });
    expect(looks("curl -s http://node01:30080/", "kubectl get pods -A | sort")).toBe(true);
    expect(looks("kubectl exec client -n app-space -- nslookup wear-service")).toBe(true);
    for (const command of ["kubectl create ns x", "kubectl exec client -- touch x", "curl x > /tmp/x", "dig x; rm y"])
      expect(looks("curl x", command)).toBe(false);
  });

  test("runs a block in one shell and returns what differs", async () => {
    const [block] = consoleBlocks(document);
    if (!block) throw new Error("no block");
    expect(await runBlock(block, ["sh"])).toEqual([]);
    const wrong = { ...block, steps: block.steps.map((step) => ({ ...step, expected: ["other"] })) };
    expect((await runBlock(wrong, ["sh"])).map(({ output }) => output)).toEqual(["a\nb\n", "1\n"]);
  });
});
