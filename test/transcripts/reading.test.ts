import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { match, shown } from "#test/support/transcript/match.ts";
import { invocations, readPage } from "#test/support/transcript/page.ts";
import { pagesOf } from "#test/support/transcript/suite.ts";

const folders = ["look", "change", "other", "cluster", "images", "any"];

describe("what stands in the pages", () => {
  const sections = folders.flatMap(pagesOf).flatMap(({ sections }) => sections);

  it("every section says where its texts are from", () => {
    expect(sections.filter(({ sources }) => sources.length === 0).map(({ title }) => title)).toEqual([]);
  });

  it("there are at least 150 invocations", () => {
    const count = sections.flatMap(({ steps }) => steps).reduce((sum, step) => sum + invocations(step), 0);
    expect(count).toBeGreaterThanOrEqual(150);
  });

  it("no folder of pages is left out", () => {
    const there = readdirSync(import.meta.dirname, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    expect(there.map(({ name }) => name).toSorted()).toEqual(folders.toSorted());
  });
});

const page = `# Title

## One

Source: a; b

\`\`\`yaml f.yaml
a: 1
\`\`\`

\`\`\`console
$ kubectl get x && kubectl \\
>  get y
NAME
! oops
[exit 3]
$~ later
$& on
first
$fg
second
\`\`\`

## Two

Source: c

Not there yet: something.
`;

describe("pages", () => {
  it("are sections with sources, files and steps", () => {
    const { title, sections } = readPage(page);
    expect(title).toBe("Title");
    expect(sections.map(({ title, sources, missing }) => ({ title, sources, missing }))).toEqual([
      { title: "One", sources: ["a", "b"], missing: undefined },
      { title: "Two", sources: ["c"], missing: "something." },
    ]);
    const [one] = sections;
    expect(one?.files).toEqual([{ name: "f.yaml", text: "a: 1\n" }]);
    expect(one?.steps.map(({ kind, command, stdout, stderr, exit }) => [kind, command, stdout, stderr, exit])).toEqual([
      ["once", "kubectl get x && kubectl \\\n get y", ["NAME"], ["oops"], 3],
      ["until", "later", [], [], 0],
      ["begin", "on", ["first"], [], 0],
      ["end", "fg", ["second"], [], 0],
    ]);
    expect(one?.steps.map(invocations)).toEqual([2, 0, 0, 0]);
  });

  it("say where they cannot be read", () => {
    expect(() => readPage("## A\n```console\nfree\n```\n")).toThrow("line 3: output before a command");
    expect(() => readPage("## A\n```console\n$ x\n")).toThrow("line 2: a block without an end");
  });
});

describe("expected lines", () => {
  it("match placeholders, and say what they stood for", () => {
    const found = match(["NAME   AGE", "web-‹hash›   ‹age›"], ["NAME         AGE", "web-5fd6c96c79   2m10s", ""]);
    expect(found).toEqual(
      new Map([
        ["hash", "5fd6c96c79"],
        ["age", "2m10s"],
      ]),
    );
    expect(match(["‹age›"], ["5s (x2 over 8s)"])).toBeDefined();
    expect(match(["‹age›"], ["soon"])).toBeUndefined();
  });

  it("keep the spaces that a line begins with, and one space", () => {
    expect(match(["  a: 1"], ["    a: 1"])).toBeUndefined();
    expect(match(["a b"], ["a  b"])).toBeUndefined();
    expect(match(["a  b"], ["a     b"])).toBeDefined();
    expect(match(["a"], ["a", "b"])).toBeUndefined();
    expect(match(["a", "…"], ["a", "b", "c"])).toBeDefined();
  });

  it("are shown as they were where they match", () => {
    expect(shown(["‹age›", "x"], ["5s", "y"])).toEqual(["5s", "x"]);
  });
});
