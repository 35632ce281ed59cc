import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { args, CorefileError, duration, hostPort, parseCorefile, readProperties, zonesOf } from "./index.ts";

const at = { file: "Corefile", line: 1 };
const parse = (text: string, environment = {}) => parseCorefile("Corefile", text, { environment });
/** Blocks without tokens' places. */
const shape = (text: string, environment = {}) =>
  parse(text, environment).map((block) => [
    block.keys.map((key) => key.text),
    block.directives.map(function line(directive): unknown[] {
      const words = [directive.name, ...directive.args.map((token) => token.text)];
      return directive.block ? [...words, directive.block.map(line)] : words;
    }),
  ]);

describe("X03 the Corefile language (part: words and blocks)", () => {
  it("reads server blocks, directives and their blocks", () => {
    const text = `example.org:5353, 10.0.0.0/24 dns://. {
      errors   # a comment
      kubernetes cluster.local in-addr.arpa {
        pods insecure
        # a line of comment
        fallthrough in-addr.arpa
      } # behind a brace
      log "two words" a#b
    }
    other {
    }`;
    expect(shape(text)).toEqual([
      [
        ["example.org:5353", "10.0.0.0/24", "dns://."],
        [
          ["errors"],
          [
            "kubernetes",
            "cluster.local",
            "in-addr.arpa",
            [
              ["pods", "insecure"],
              ["fallthrough", "in-addr.arpa"],
            ],
          ],
          ["log", "two words", "a#b"],
        ],
      ],
      [["other"], []],
    ]);
  });

  it("takes keys over several lines after a comma, and a single block without braces", () => {
    expect(shape("a,\nb {\n x\n}")).toEqual([[["a", "b"], [["x"]]]]);
    expect(shape(".:53\nerrors\ncache 30")).toEqual([[[".:53"], [["errors"], ["cache", "30"]]]]);
  });

  it("fills in the environment, empty when unset", () => {
    expect(shape("{$ZONE}:{%PORT%} {\n forward . {$UPSTREAM}x\n}", { ZONE: "a.b", PORT: "53" })).toEqual([
      [["a.b:53"], [["forward", ".", "x"]]],
    ]);
  });

  it("imports snippets with arguments, and files", () => {
    expect(shape("(common) {\n errors\n forward . {args[0]}\n}\n. {\n import common 1.1.1.1\n}")).toEqual([
      [["."], [["errors"], ["forward", ".", "1.1.1.1"]]],
    ]);
    const blocks = parseCorefile("Corefile", "import other\n. {\n cache 5\n}", {
      readImport: (pattern) => (pattern === "other" ? [{ file: "other", text: "x {\n nonsense\n}" }] : []),
    });
    expect(blocks.map((block) => block.at)).toEqual([
      { file: "other", line: 1 },
      { file: "Corefile", line: 2 },
    ]);
  });

  it.each([
    [". {\n errors\n", "Corefile:1: the { here has no }"],
    ["}\n", "Corefile:1: } without {"],
    [". {\n x { y\n }\n}", "Corefile:2: { within a line"],
    ['. {\n log "a\n}', "Corefile:2: the quotes opened here do not end"],
    [". {\n import gone\n}", "Corefile:2: import of gone: no such file or snippet"],
    ["(a) {\n import a\n}\n. {\n import a\n}", "goes round in a circle"],
    [". {\n {\n }\n}", "Corefile:2: { without a name"],
    [". { errors }", "Corefile:1: errors behind {"],
  ])("refuses %j with file and line", (text, message) => {
    expect(() => parse(text)).toThrow(CorefileError);
    expect(() => parse(text)).toThrow(message);
  });

  it("never throws anything but a CorefileError", () => {
    const word = fc.constantFrom(
      "{",
      "}",
      "\n",
      " ",
      '"',
      "#",
      "import",
      "(a)",
      "a",
      "{$X}",
      "{args[0]}",
      ",",
      "\\",
      ".:53",
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(word, fc.string({ maxLength: 3 })), { maxLength: 30 }), (words) => {
        try {
          parse(words.join(" "));
        } catch (error) {
          expect(error).toBeInstanceOf(CorefileError);
        }
      }),
      { seed: 53, numRuns: 500 },
    );
  });
});

describe("X03 the Corefile language (part: arguments)", () => {
  const directive = (text: string) =>
    (parse(`. {\n${text}\n}`)[0] as ReturnType<typeof parse>[0]).directives[0] as never;
  it("says what is allowed", () => {
    expect(() => args(directive("loop 1"), "loop", 0)).toThrow("Corefile:2: loop with 1 argument; expected: loop");
    expect(() => readProperties(directive("health {\n lame 5s\n}"), { lameduck: () => {} })).toThrow(
      "Corefile:3: unknown property 'lame' of health; allowed: lameduck",
    );
  });
  it("reads durations, addresses and zones", () => {
    expect(["5s", "1m30s", "500ms", "0", "1.5h"].map((text) => duration(text, at, "x"))).toEqual([
      5000, 90_000, 500, 0, 5_400_000,
    ]);
    // Such a timer would fire at once: 30 days are more than 2 ** 31 - 1 ms (the documentation of setTimeout).
    expect(duration("720h", at, "x")).toBe(2 ** 31 - 1);
    for (const bad of ["5", "s", "", "-5s", "5 s"]) expect(() => duration(bad, at, "x")).toThrow(CorefileError);
    expect(hostPort(":9153", at, 1)).toEqual({ host: "", port: 9153 });
    expect(hostPort("[fd00::1]:5", at, 1)).toEqual({ host: "fd00::1", port: 5 });
    expect(hostPort("fd00::1", at, 53)).toEqual({ host: "fd00::1", port: 53 });
    expect(hostPort("10.0.0.1", at, 53)).toEqual({ host: "10.0.0.1", port: 53 });
    expect(() => hostPort("1.1.1.1:99999", at, 53)).toThrow("from 0 to 65535");
    expect(zonesOf("Cluster.Local", at)).toEqual(["cluster.local."]);
    expect(zonesOf("10.0.0.0/24", at)).toEqual(["0.0.10.in-addr.arpa."]);
  });
});
