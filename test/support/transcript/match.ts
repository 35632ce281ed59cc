/** What the placeholders of an expected text match; test/transcripts/README.md lists them. */
const PLACEHOLDERS: Readonly<Record<string, string>> = {
  age: "\\d+[smhdy](?:\\d+[smhd])?(?: \\(x\\d+ over \\d+[smhd](?:\\d+[smh])?\\))?(?: ago)?",
  uid: "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
  hash: "[a-z0-9]{1,10}",
  suffix: "[a-z0-9]{5}",
  time: "\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(?:\\.\\d+)?Z",
  date: "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \\d\\d [A-Z][a-z]{2} \\d{4} \\d\\d:\\d\\d:\\d\\d [+-]\\d{4}",
  ip: "\\d+\\.\\d+\\.\\d+\\.\\d+",
  port: "\\d+",
  rv: "\\d+",
  number: "\\d+",
  version: "v\\d+\\.\\d+\\.\\d+\\S*",
  word: "\\S+",
  text: "[^\\n]*?",
};

const ANY_LINES = "…";

/** Lines without spaces at their ends, and without empty lines at the text's end. */
export function clean(lines: readonly string[]): string[] {
  const all = lines.map((line) => line.trimEnd());
  while (all.at(-1) === "") all.pop();
  return all;
}

function escapeRegex(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}

/**
 * A regular expression for one line; its groups are the placeholders, in order. The spaces that a line begins with count,
 * they are a manifest's structure; further on a column's width does not.
 */
function pattern(line: string): { source: string; names: string[] } {
  const names: string[] = [];
  const indent = /^ */.exec(line)?.[0] ?? "";
  const source = line
    .slice(indent.length)
    .split(/(‹\w+›)/)
    .map((part) => {
      const name = /^‹(\w+)›$/.exec(part)?.[1];
      if (name === undefined) return escapeRegex(part).replaceAll(/ {2,}/g, " {2,}");
      const source = PLACEHOLDERS[name];
      if (source === undefined) throw new Error(`unknown placeholder ‹${name}›`);
      names.push(name);
      return `(${source})`;
    })
    .join("");
  return { source: indent + source, names };
}

/** What a text's placeholders stood for, the last of each name; undefined when it does not match. */
export function match(expected: readonly string[], actual: readonly string[]): Map<string, string> | undefined {
  const names: string[] = [];
  const parts = clean(expected).map((line) => {
    if (line === ANY_LINES) return "(?:[^\\n]*\\n)*?";
    const { source, names: found } = pattern(line);
    names.push(...found);
    return `${source}\\n`;
  });
  const text = clean(actual).map((line) => `${line}\n`);
  const result = new RegExp(`^${parts.join("")}$`).exec(text.join(""));
  return result ? new Map(names.map((name, index) => [name, result[index + 1] ?? ""])) : undefined;
}

/** The expected lines, with what matches line by line as it really was: what a difference is shown against. */
export function shown(expected: readonly string[], actual: readonly string[]): string[] {
  const there = clean(actual);
  return clean(expected).map((line, index) => {
    const same = there[index];
    return same !== undefined && line !== ANY_LINES && new RegExp(`^${pattern(line).source}$`).test(same) ? same : line;
  });
}
