/** A source of names (nsswitch.conf(5)), and the ends of it after which no other is asked. */
export interface NameSource {
  /** `files`, `dns`, … */
  readonly name: string;
  /** Whether a name that the source does not have is looked for in the next one. */
  readonly goesOnAfterNotFound: boolean;
}

/** What the libraries do without the file, or without its line: see nsswitch.conf(5) and Debian's default. */
const DEFAULT: readonly NameSource[] = ["files", "dns"].map((name) => ({ name, goesOnAfterNotFound: true }));

/** The sources of `hosts:` in their order. Of the actions in brackets `NOTFOUND` is what a lookup may meet. */
export function parseHostSources(text: string): readonly NameSource[] {
  const line = text.split("\n").find((one) => /^\s*hosts:/.test(one));
  if (line === undefined) return DEFAULT;
  const words = (line.split("#")[0] as string).replace(/^\s*hosts:/, "").match(/\[[^\]]*\]|[^\s[]+/g) ?? [];
  const sources: NameSource[] = [];
  for (const word of words) {
    const before = sources.at(-1);
    if (!word.startsWith("[")) sources.push({ name: word, goesOnAfterNotFound: true });
    else if (before) sources[sources.length - 1] = { ...before, goesOnAfterNotFound: goesOn(word) };
  }
  return sources;
}

/** Reads `[NOTFOUND=return]`, `[!UNAVAIL=return]`: several may stand in one pair of brackets. */
function goesOn(brackets: string): boolean {
  let result = true;
  for (const [, not, status = "", action = ""] of brackets.matchAll(/(!?)(\w+)\s*=\s*(\w+)/g)) {
    const isMeant = (status.toUpperCase() === "NOTFOUND") !== (not === "!");
    if (isMeant) result = action.toLowerCase() !== "return";
  }
  return result;
}
