import { tryParseName } from "#wire/dns/index.ts";
import { CorefileError, type Location, regexp } from "../../corefile/index.ts";

/** How a rule's FROM is compared with a name. */
export type Match = "exact" | "prefix" | "suffix" | "substring" | "regex";

const matches: readonly Match[] = ["exact", "prefix", "suffix", "substring", "regex"];

/** The word as a kind of match; undefined for other words. */
export function matchOf(word: string | undefined): Match | undefined {
  return matches.find((known) => known === word?.toLowerCase());
}

/** Gives the new name for a name (lower case, absolute), or undefined when it does not match. */
export type NameRewriter = (name: string) => string | undefined;

/**
 * A rewriter from its words. Names are compared in lower case with their final dot; FROM and TO get one where they
 * stand for the end of a name. `{1}` in TO is what the first group of a regular expression matched.
 * @throws CorefileError for a regular expression that is none, or has fewer groups than TO wants
 */
export function nameRewriter(match: Match, from: string, to: string, at: Location): NameRewriter {
  const lower = from.toLowerCase();
  switch (match) {
    case "exact":
      return (name) => (name === dotted(lower) ? dotted(to) : undefined);
    case "prefix":
      return (name) => (name.startsWith(lower) ? to + name.slice(lower.length) : undefined);
    case "suffix": {
      const end = dotted(lower);
      return (name) => (name.endsWith(end) ? name.slice(0, name.length - end.length) + dotted(to) : undefined);
    }
    case "substring":
      return (name) => (name.includes(lower) ? name.replaceAll(lower, () => to) : undefined);
    case "regex":
      return regexRewriter(from, to, at);
  }
}

/** Whether a name matches, for rules that do not change it. */
export function nameTest(match: Match, from: string, at: Location): (name: string) => boolean {
  const rewriter = nameRewriter(match, from, "", at);
  return (name) => rewriter(name) !== undefined;
}

function regexRewriter(from: string, to: string, at: Location): NameRewriter {
  const pattern = regexp(from, at);
  const groups = (new RegExp(`${pattern.source}|`, pattern.flags).exec("") as RegExpExecArray).length - 1;
  for (const [, index] of to.matchAll(/\{(\d+)\}/g)) {
    if (Number(index) > groups) {
      throw new CorefileError(
        at,
        `the rewrite regex pattern ${JSON.stringify(from)} has ${groups} groups; ${to} wants {${index}}`,
      );
    }
  }
  return (name) => {
    const found = pattern.exec(name);
    if (!found) return undefined;
    const text = to.replaceAll(/\{(\d+)\}/g, (_all, index: string) => found[Number(index)] ?? "");
    return dotted(text);
  };
}

/** The name when it is one that can stand in a message, else undefined. */
export function validName(name: string): string | undefined {
  return name === "" ? undefined : tryParseName(name);
}

function dotted(name: string): string {
  return name.endsWith(".") ? name : `${name}.`;
}
