import { type Place, ZoneFileError } from "./errors.ts";

/** One word of a master file, its escapes still in it. */
export interface Word extends Place {
  readonly text: string;
  readonly quoted: boolean;
}

/** One entry: a directive or a record, over several lines where parentheses say so. */
export interface Entry extends Place {
  readonly words: readonly Word[];
  /** The line begins with white space: the record has the owner of the one before. */
  readonly sameOwner: boolean;
}

/** Where a lexer stands. */
interface Scan {
  readonly file: string;
  readonly text: string;
  at: number;
  line: number;
  depth: number;
}

/**
 * Entries of a master file (RFC 1035 §5.1): `;` begins a comment, quotes hold white space, parentheses let an entry go
 * over line ends, a backslash takes away what the next character means.
 * @throws ZoneFileError for quotes and parentheses that do not match
 */
export function* entriesOf(file: string, text: string): Generator<Entry> {
  const scan: Scan = { file, text, at: 0, line: 1, depth: 0 };
  while (scan.at < text.length) {
    const sameOwner = /[ \t]/.test(text[scan.at] as string);
    const line = scan.line;
    const words = readEntry(scan);
    if (scan.depth > 0) throw new ZoneFileError({ file, line }, "unbalanced brace: ( has no )");
    if (words.length > 0) yield { file, line, words, sameOwner };
  }
}

function readEntry(scan: Scan): Word[] {
  const words: Word[] = [];
  while (scan.at < scan.text.length) {
    const char = scan.text[scan.at] as string;
    if (char === "\n") {
      scan.at++;
      scan.line++;
      if (scan.depth === 0) break;
    } else if (char === " " || char === "\t" || char === "\r") {
      scan.at++;
    } else if (char === ";") {
      const end = scan.text.indexOf("\n", scan.at);
      scan.at = end < 0 ? scan.text.length : end;
    } else if (char === "(" || char === ")") {
      scan.depth += char === "(" ? 1 : -1;
      if (scan.depth < 0) throw new ZoneFileError(scan, "extra closing brace: ) has no (");
      scan.at++;
    } else {
      words.push(char === '"' ? quotedWord(scan) : plainWord(scan));
    }
  }
  return words;
}

function plainWord(scan: Scan): Word {
  const { file, line, text, at } = scan;
  let end = at;
  while (end < text.length && !/[\s;()"]/.test(text[end] as string)) {
    end += text[end] === "\\" && end + 1 < text.length && text[end + 1] !== "\n" ? 2 : 1;
  }
  scan.at = end;
  return { file, line, text: text.slice(at, end), quoted: false };
}

function quotedWord(scan: Scan): Word {
  const { file, line, text, at } = scan;
  let end = at + 1;
  while (end < text.length && text[end] !== '"') {
    if (text[end] === "\n") scan.line++;
    end += text[end] === "\\" && text[end + 1] !== "\n" ? 2 : 1;
  }
  if (end >= text.length) throw new ZoneFileError({ file, line }, "the quotes opened here do not end");
  scan.at = end + 1;
  return { file, line, text: text.slice(at + 1, end), quoted: true };
}

/**
 * Bytes of a character string: `\DDD` is a byte, `\X` the character X (RFC 1035 §5.1). Characters stand for the bytes
 * of their UTF-8 form.
 */
export function stringBytes(word: Word): Uint8Array {
  const bytes: number[] = [];
  const { text } = word;
  for (let i = 0; i < text.length; ) {
    const escaped = /^\\(?:(\d{3})|([\s\S]))/.exec(text.slice(i, i + 4));
    if (escaped?.[1] !== undefined) {
      const value = Number(escaped[1]);
      if (value > 255) throw new ZoneFileError(word, `bad escape \\${escaped[1]}`);
      bytes.push(value);
      i += 4;
      continue;
    }
    const char = String.fromCodePoint(text.codePointAt(escaped ? i + 1 : i) as number);
    bytes.push(...new TextEncoder().encode(char));
    i += (escaped ? 1 : 0) + char.length;
  }
  return Uint8Array.from(bytes);
}
