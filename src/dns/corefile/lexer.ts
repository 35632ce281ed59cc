import { CorefileError, type Location } from "./errors.ts";

/** One word of a Corefile. */
export interface Token extends Location {
  readonly text: string;
  /** Written in quotes: never a brace, and not empty space even when the text is empty. */
  readonly quoted: boolean;
}

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Splits a Corefile into words, as the Caddyfile syntax has it: words end at white space; `#` at the start of a word
 * begins a comment; quotes at the start of a word hold white space and line ends, with `\"` for a quote.
 * `{$NAME}` and `{%NAME%}` in a word become the environment variable's value, empty when unset.
 * @throws CorefileError for quotes that do not end
 */
export function tokenize(file: string, text: string, environment: Environment): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  for (let at = text.startsWith("\ufeff") ? 1 : 0; at < text.length; ) {
    const char = text[at] as string;
    if (char === "\n") line++;
    if (/\s/.test(char)) {
      at++;
    } else if (char === "#") {
      const end = text.indexOf("\n", at);
      at = end < 0 ? text.length : end;
    } else if (char === '"') {
      const { value, end } = quotedWord(text, at, { file, line });
      tokens.push({ file, line, ...expanded(value, environment), quoted: true });
      line += text.slice(at, end).split("\n").length - 1;
      at = end;
    } else {
      const word = /^\S+/.exec(text.slice(at))?.[0] as string;
      tokens.push({ file, line, ...expanded(word, environment), quoted: false });
      at += word.length;
    }
  }
  return tokens;
}

function quotedWord(text: string, start: number, at: Location): { readonly value: string; readonly end: number } {
  let value = "";
  for (let i = start + 1; i < text.length; i++) {
    const char = text[i] as string;
    if (char === '"') return { value, end: i + 1 };
    // Only a quote can be escaped, so that Windows paths and regular expressions need no doubling.
    if (char === "\\" && text[i + 1] === '"') value += text[++i];
    else value += char;
  }
  throw new CorefileError(at, "the quotes opened here do not end");
}

function expanded(word: string, environment: Environment): Pick<Token, "text" | "unset"> {
  if (!word.includes("{")) return { text: word };
  const unset: string[] = [];
  const text = word.replaceAll(/\{\$([^{}]+)\}|\{%([^{}%]+)%\}/g, (_all, unix?: string, windows?: string) => {
    const name = unix ?? windows ?? "";
    const value = environment[name];
    if (value === undefined) unset.push(name);
    return value ?? "";
  });
  return unset.length > 0 ? { text, unset } : { text };
}
