import { CountsError, withoutLargeCounts } from "./regExpCounts.ts";

/**
 * Makes V8 go over to its linear engine where a pattern backtracks too much, so that a pattern from a definition and
 * a value from a client do not hold up the server. It holds for the whole process. The engine does not know Unicode
 * classes (`\pL`): patterns with these still backtrack as long as it takes.
 */
export function boundBacktracking(): void {
  // Loaded when it is wanted: it is 5 ms of a start.
  process.getBuiltinModule("node:v8").setFlagsFromString("--enable-experimental-regexp-engine-on-excessive-backtracks");
}

const posixClasses: Readonly<Record<string, string>> = {
  alnum: "0-9A-Za-z",
  alpha: "A-Za-z",
  ascii: "\\x00-\\x7F",
  blank: "\\t ",
  cntrl: "\\x00-\\x1F\\x7F",
  digit: "0-9",
  graph: "!-~",
  lower: "a-z",
  print: " -~",
  punct: "!-\\/:-@[-`{-~",
  space: "\\t\\n\\v\\f\\r ",
  upper: "A-Z",
  word: "0-9A-Za-z_",
  xdigit: "0-9A-Fa-f",
};

/** `test`: nobody reads what groups capture. */
export type RegExpUse = "test" | "captures";

/**
 * A Go regular expression (RE2 syntax, github.com/google/re2/wiki/Syntax) as a JavaScript one. Where it has large
 * counts, V8's linear engine runs it (flag `l`), if it can: V8's other engine runs what ignores case or has Unicode
 * classes, and for `test` what counts make too long. It may backtrack as long as it takes.
 * @throws SyntaxError for what is none, or cannot be said in JavaScript; CountsError for `captures`
 */
export function compileRegExp(pattern: string, use: RegExpUse = "test"): RegExp {
  let flags = "";
  let rest = pattern;
  const lead = /^\(\?([ims]+)\)/.exec(rest);
  if (lead) {
    flags = [...new Set(lead[1] as string)].join("");
    rest = rest.slice(lead[0].length);
  }
  const source = translate(rest, flags.includes("m"));
  // Unicode classes need the flag, which the linear engine does not have.
  if (/\\[pP]\{/.test(source)) flags += "u";
  const usual = new RegExp(source, flags);
  const canBeLinear = !/[iu]/.test(flags);
  try {
    const written = withoutLargeCounts(source, use === "captures" && canBeLinear);
    return written !== undefined && canBeLinear ? linear(written, flags) : usual;
  } catch (error) {
    const excused = error instanceof CountsError && (use === "test" || !canBeLinear);
    if (excused || /linear time$/.test((error as Error).message)) return usual;
    throw error;
  }
}

/** @throws SyntaxError that ends in "linear time" for groups with flags */
function linear(source: string, flags: string): RegExp {
  process.getBuiltinModule("node:v8").setFlagsFromString("--enable-experimental-regexp-engine");
  const compiled = new RegExp(source, `${flags}l`);
  try {
    compiled.test(""); // V8 finds out at the first use that a pattern is too large for it
  } catch {
    throw new CountsError("expression too large");
  }
  return compiled;
}

function translate(pattern: string, lines: boolean): string {
  let out = "";
  for (let i = 0; i < pattern.length; ) {
    const rest = pattern.slice(i, i + 12);
    let step: readonly [text: string, length: number];
    if (pattern[i] === "\\") step = textEdge(pattern[i + 1], lines) ?? escaped(pattern, i);
    else if (pattern[i] === "[") step = characterClass(pattern, i);
    else if (rest.startsWith("(?P<")) step = ["(?<", 4];
    else if (/^\(\?(=|!|<=|<!)/.test(rest)) throw new SyntaxError("invalid or unsupported Perl syntax: `(?`");
    else step = [pattern[i] as string, 1];
    out += step[0];
    i += step[1];
  }
  return out;
}

/** `\A` and `\z`. Where `^` and `$` are not those of lines they say the same, and the linear engine knows them. */
function textEdge(letter: string | undefined, lines: boolean): readonly [string, number] | undefined {
  if (letter === "A") return [lines ? "(?<![\\s\\S])" : "^", 2];
  if (letter === "z") return [lines ? "(?![\\s\\S])" : "$", 2];
  return undefined;
}

/** What a backslash begins outside of a class. */
function escaped(pattern: string, at: number): readonly [string, number] {
  const next = pattern[at + 1];
  if (next === undefined) throw new SyntaxError("trailing backslash at end of expression: ``");
  if (next === "Q") {
    const end = pattern.indexOf("\\E", at + 2);
    const text = pattern.slice(at + 2, end < 0 ? undefined : end);
    return [text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"), text.length + (end < 0 ? 2 : 4)];
  }
  if (next === "x" && pattern[at + 2] === "{") return braced(pattern, at);
  if (next === "p" || next === "P") return unicodeClass(pattern, at);
  if (/[1-9]/.test(next) || next === "k") throw new SyntaxError(`invalid escape sequence: \`\\${next}\``);
  if (/[A-Za-z]/.test(next) && !/[aftnrvdDsSwWbBx]/.test(next))
    throw new SyntaxError(`invalid escape sequence: \`\\${next}\``);
  if (next === "a") return ["\\x07", 2];
  if (next === "s") return ["[\\t\\n\\f\\r ]", 2];
  if (next === "S") return ["[^\\t\\n\\f\\r ]", 2];
  return [`\\${next}`, 2];
}

/** `\x{10FFFF}`. */
function braced(pattern: string, at: number): readonly [string, number] {
  const match = /^\\x\{([0-9A-Fa-f]{1,6})\}/.exec(pattern.slice(at));
  if (!match) throw new SyntaxError("invalid escape sequence: `\\x`");
  const code = Number.parseInt(match[1] as string, 16);
  if (code > 0x10ffff) throw new SyntaxError("invalid escape sequence: `\\x`");
  const units = [...String.fromCodePoint(code)].flatMap((c) => c.split(""));
  const text = units.map((u) => `\\u${u.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");
  return [text, match[0].length];
}

/** `\pL` and `\p{Greek}`. */
function unicodeClass(pattern: string, at: number): readonly [string, number] {
  const match = /^\\([pP])(?:\{(\^?)(\w+)\}|(\w))/.exec(pattern.slice(at));
  if (!match) throw new SyntaxError("invalid character class range: `\\p`");
  const negated = (match[1] === "P") !== (match[2] === "^");
  const name = match[3] ?? (match[4] as string);
  // Scripts have names of several letters, categories of one or two.
  const property = name.length > 2 ? `Script=${name}` : name;
  return [`\\${negated ? "P" : "p"}{${property}}`, match[0].length];
}

/** A bracketed class; posix names inside become ranges. */
function characterClass(pattern: string, start: number): readonly [string, number] {
  let at = start + 1;
  let out = "[";
  if (pattern[at] === "^") {
    out += "^";
    at++;
  }
  // A bracket right at the beginning stands for itself.
  if (pattern[at] === "]") {
    out += "\\]";
    at++;
  }
  for (; at < pattern.length && pattern[at] !== "]"; ) {
    const posix = /^\[:(\^?)(\w+):\]/.exec(pattern.slice(at, at + 14));
    if (posix) {
      const ranges = posixClasses[posix[2] as string];
      if (!ranges || posix[1]) throw new SyntaxError(`invalid character class range: \`${posix[0]}\``);
      out += ranges;
      at += posix[0].length;
    } else if (pattern[at] === "\\") {
      const [text, length] = classEscape(pattern, at);
      out += text;
      at += length;
    } else {
      out += pattern[at] === "[" ? "\\[" : pattern[at];
      at++;
    }
  }
  if (at >= pattern.length) throw new SyntaxError(`missing closing ]: \`${pattern.slice(start)}\``);
  return [`${out}]`, at + 1 - start];
}

function classEscape(pattern: string, at: number): readonly [string, number] {
  const next = pattern[at + 1] ?? "";
  if (next === "s") return ["\\t\\n\\f\\r ", 2];
  if (next === "b" || next === "B" || next === "A" || next === "z")
    throw new SyntaxError(`invalid escape sequence: \`\\${next}\``);
  return escaped(pattern, at);
}
