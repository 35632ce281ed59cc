import { CorefileError, type Location } from "./errors.ts";
import { type Environment, type Token, tokenize } from "./lexer.ts";

/** A directive of a server block, or a property in a directive's own block: one line, and what its braces hold. */
export interface Directive {
  readonly name: string;
  readonly args: readonly Token[];
  readonly block?: readonly Directive[];
  readonly at: Location;
}

/** `zone [zone…] { … }`, keys as written. */
export interface ServerBlock {
  readonly keys: readonly Token[];
  readonly directives: readonly Directive[];
  readonly at: Location;
}

/** What the parser needs from outside of the text. */
export interface ParseOptions {
  readonly environment?: Environment;
  /** Files that an `import` of this pattern names, relative to the Corefile. Absent: import of files is refused. */
  readonly readImport?: (pattern: string) => readonly { readonly file: string; readonly text: string }[];
}

/** Deepest nesting of imports: a file or snippet that imports itself must end in an error. */
const maxImportDepth = 16;

/**
 * Parses a Corefile: server blocks, snippets `(name) { … }`, `import`, environment variables, comments, quotes.
 * A file without braces is a single server block whose first line holds the keys.
 * @param file its name in messages
 * @throws CorefileError with file and line
 */
export function parseCorefile(file: string, text: string, options: ParseOptions = {}): ServerBlock[] {
  return new Parser(options).blocks(tokenize(file, text, options.environment ?? {}), 0);
}

class Parser {
  readonly #options: ParseOptions;
  readonly #snippets = new Map<string, readonly Token[]>();

  constructor(options: ParseOptions) {
    this.#options = options;
  }

  blocks(tokens: readonly Token[], depth: number): ServerBlock[] {
    const blocks: ServerBlock[] = [];
    for (let at = 0; at < tokens.length; ) {
      const first = tokens[at] as Token;
      if (first.text === "import" && !first.quoted) {
        const line = lineAt(tokens, at);
        blocks.push(...this.blocks(this.#imported(line, depth), depth + 1));
        at += line.length;
        continue;
      }
      const header = blockHeader(tokens, at);
      const end = header.open === undefined ? tokens.length : closing(tokens, header.open);
      const body = tokens.slice((header.open ?? at + header.keys.length - 1) + 1, end);
      const snippet = /^\((.+)\)$/.exec(first.text)?.[1];
      if (snippet !== undefined && header.keys.length === 1) this.#snippets.set(snippet, body);
      else blocks.push({ keys: header.keys, directives: this.#directives(body, 0), at: locationOf([first]) });
      at = end + 1;
    }
    return blocks;
  }

  #directives(tokens: readonly Token[], depth: number): Directive[] {
    const directives: Directive[] = [];
    for (let at = 0; at < tokens.length; ) {
      const line = lineAt(tokens, at);
      const first = line[0] as Token;
      if (isBrace(first, "{")) throw new CorefileError(first, "{ without a name before it; expected a directive");
      if (first.text === "import" && !first.quoted) {
        directives.push(...this.#directives(this.#imported(line, depth), depth + 1));
        at += line.length;
        continue;
      }
      const opens = isBrace(line.at(-1) as Token, "{");
      const args = line.slice(1, opens ? -1 : undefined);
      const stray = args.find((token) => isBrace(token, "{") || isBrace(token, "}"));
      if (stray) throw new CorefileError(stray, `${stray.text} within a line; { ends its line and } stands on its own`);
      const head = { name: first.text, args, at: locationOf(line) };
      if (!opens) {
        directives.push(head);
        at += line.length;
        continue;
      }
      const open = at + line.length - 1;
      const end = closing(tokens, open);
      directives.push({ ...head, block: this.#directives(tokens.slice(open + 1, end), depth) });
      at = end + 1;
    }
    return directives;
  }

  /** Tokens that `import NAME [args]` stands for: a snippet's, with `{args[0]}` filled in, or those of files. */
  #imported(line: readonly Token[], depth: number): readonly Token[] {
    const [keyword, target, ...args] = line as [Token, Token | undefined, ...Token[]];
    if (!target) throw new CorefileError(keyword, "import of nothing; expected a snippet's name or a file pattern");
    if (depth >= maxImportDepth) throw new CorefileError(keyword, `import of ${target.text} goes round in a circle`);
    const snippet = this.#snippets.get(target.text);
    if (snippet) {
      return snippet.map((token) => ({
        ...token,
        text: token.text.replaceAll(/\{args\[(\d+)\]\}/g, (_all, index: string) => args[Number(index)]?.text ?? ""),
      }));
    }
    const files = this.#options.readImport?.(target.text) ?? [];
    // A pattern may match nothing (CoreDNS lets an empty directory pass); a plain name must exist.
    if (files.length === 0 && !/[*?[]/.test(target.text)) {
      const known = [...this.#snippets.keys()].map((name) => `(${name})`).join(", ");
      throw new CorefileError(
        target,
        `import of ${target.text}: no such file or snippet${known && `; snippets: ${known}`}`,
      );
    }
    return files.flatMap(({ file, text }) => tokenize(file, text, this.#options.environment ?? {}));
  }
}

/** The words from `at` to the end of their line; a closing brace is a line of its own. */
function lineAt(tokens: readonly Token[], at: number): readonly Token[] {
  const first = tokens[at] as Token;
  let end = at + 1;
  while (end < tokens.length && sameLine(tokens[end] as Token, first)) end++;
  return tokens.slice(at, end);
}

function sameLine(token: Token, first: Token): boolean {
  return token.line === first.line && token.file === first.file;
}

/** Keys of a server block from `at` on: one line, or several when a comma ends a line. */
function blockHeader(
  tokens: readonly Token[],
  at: number,
): { readonly keys: Token[]; readonly open: number | undefined } {
  const keys: Token[] = [];
  for (let next = at; next < tokens.length; ) {
    const line = lineAt(tokens, next);
    for (const [i, token] of line.entries()) {
      if (isBrace(token, "}")) throw new CorefileError(token, "} without {; expected the zones of a server block");
      if (isBrace(token, "{")) {
        if (keys.length === 0)
          throw new CorefileError(token, "{ without zones before it; expected such as . or example.org:53");
        const after = line[i + 1];
        if (after) throw new CorefileError(after, `${after.text} behind {; expected the end of the line`);
        return { keys, open: next + i };
      }
      keys.push(
        ...token.text
          .split(",")
          .filter(Boolean)
          .map((text) => ({ ...token, text })),
      );
    }
    next += line.length;
    if (!line.at(-1)?.text.endsWith(",")) break;
  }
  return { keys, open: undefined };
}

/** Index of the brace that closes the one at `open`. */
function closing(tokens: readonly Token[], open: number): number {
  let depth = 0;
  for (let at = open; at < tokens.length; at++) {
    const token = tokens[at] as Token;
    if (isBrace(token, "{")) depth++;
    if (isBrace(token, "}") && --depth === 0) return at;
  }
  throw new CorefileError(tokens[open] as Token, "the { here has no }");
}

function isBrace(token: Token, brace: "{" | "}"): boolean {
  return token.text === brace && !token.quoted;
}

/** Where words of one line stand. */
function locationOf(words: readonly Token[]): Location {
  const { file, line } = words[0] as Token;
  const unset = words.flatMap((token) => token.unset ?? []);
  return { file, line, ...(unset.length > 0 && { unset }) };
}
