import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  formatSelector,
  matchesMap,
  matchesRequirements,
  matchesSelector,
  parseFieldSelector,
  parseSelector,
} from "./selectors.ts";

const labels = { app: "web", tier: "front", "example.com/size": "10" };
const matches = (text: string) => matchesRequirements(parseSelector(text), labels);

describe("label selectors", () => {
  it.each([
    "",
    "app=web",
    "app==web,tier=front",
    "app!=db",
    "missing!=x",
    "app in (db, web)",
    "app notin (db),tier",
    "!missing",
    "missing notin (a)",
    "example.com/size>9",
    "example.com/size<11",
    " app = web , tier in (front) ",
    "tier in (front,)",
  ])("matches %j", (text) => expect(matches(text)).toBe(true));

  it.each(["app=db", "missing", "!app", "app in (a,b)", "app notin (web)", "example.com/size>10", "app=", "app>1"])(
    "does not match %j",
    (text) => expect(matches(text)).toBe(false),
  );

  it.each(["=web", "app in web", "app in (", "a b", ",", "app=web,", "app=%%", "a/b/c=x", "app>x", "!", "app=(a)"])(
    "refuses %j",
    (text) => expect(() => parseSelector(text)).toThrow(/parse requirement|must be an integer|expected: /),
  );

  // Recorded from k8s.io/apimachinery v0.36.6.
  it.each([
    ["app=web,", "found '', expected: identifier after ','"],
    ["(a)", "found '(', expected: !, identifier, or 'end of string'"],
    ["a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
    ["a in b", "unable to parse requirement: found 'b' expected: '('"],
    ["a in (b", "unable to parse requirement: found '', expected: ',' or ')'"],
    ["a=b c", "found 'c', expected: ',' or 'end of string'"],
    [
      "a>x",
      `unable to parse requirement: values[0]: Invalid value: "x": for 'Gt', 'Lt' operators, the value must be an integer`,
    ],
    [
      "a=-",
      `unable to parse requirement: values[0][a]: Invalid value: "-": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`,
    ],
    [
      "a/=b",
      `unable to parse requirement: <nil>: Invalid value: "a/": name part must be non-empty; name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`,
    ],
  ])("refuses %j with apimachinery's words", (text, message) => {
    expect(() => parseSelector(text)).toThrow(expect.objectContaining({ message }));
  });

  it("gives the same answer as text and as object", () => {
    const selector = {
      matchLabels: { app: "web" },
      matchExpressions: [
        { key: "tier", operator: "In" as const, values: ["front", "back"] },
        { key: "zone", operator: "DoesNotExist" as const },
      ],
    };
    expect(formatSelector(selector)).toBe("app=web,tier in (back,front),!zone");
    expect(matchesSelector(selector, labels)).toBe(true);
    expect(matches(formatSelector(selector))).toBe(true);
  });

  it("selects nothing without a selector and everything with an empty one", () => {
    expect(matchesSelector(undefined, labels)).toBe(false);
    expect(matchesSelector({}, undefined)).toBe(true);
    expect(matchesMap({}, undefined)).toBe(true);
    expect(matchesMap({ app: "web" }, undefined)).toBe(false);
  });

  it("parses what it formats (property)", () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9.-]{0,8}[a-z0-9]$/);
    const expression = fc.record({
      key: name.filter((key) => key !== "in" && key !== "notin"),
      operator: fc.constantFrom("In" as const, "NotIn" as const),
      values: fc.uniqueArray(name, { minLength: 1, maxLength: 3 }),
    });
    fc.assert(
      fc.property(fc.array(expression, { maxLength: 4 }), fc.dictionary(name, name), (matchExpressions, found) => {
        const parsed = parseSelector(formatSelector({ matchExpressions }));
        expect(matchesRequirements(parsed, found)).toBe(matchesSelector({ matchExpressions }, found));
      }),
      { seed: 7, numRuns: 200 },
    );
  });
});

describe("field selectors", () => {
  it("parses equality, inequality and escapes", () => {
    expect(parseFieldSelector("spec.nodeName=node01,status.phase!=Running,a==b\\,c\\=d\\\\")).toEqual([
      { field: "a", value: "b,c=d\\", equal: true },
      { field: "spec.nodeName", value: "node01", equal: true },
      { field: "status.phase", value: "Running", equal: false },
    ]);
    expect(parseFieldSelector("")).toEqual([]);
  });

  it.each(["a", "a=b=c", "a=b\\x"])("refuses %j", (text) => {
    expect(() => parseFieldSelector(text)).toThrow(/selector/);
  });
});
