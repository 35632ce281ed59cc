/**
 * What Go's encoding/json and sigs.k8s.io/json say of a text that Node's parser takes or refuses in its own words:
 * where it is broken, and which fields come twice.
 */

/** Deepest nesting of objects and lists. */
const depthLimit = 1000;

/** How a JSON text is made up, counted without reading it. */
interface Shape {
  readonly keys: number;
  readonly depth: number;
}

/** Counts keys and depth of what may be JSON; one pass over the bytes. */
function shapeOf(bytes: Uint8Array): Shape {
  let keys = 0;
  let depth = 0;
  let deepest = 0;
  for (let i = 0; i < bytes.length; i++) {
    switch (bytes[i]) {
      case 0x22: // "
        for (i++; i < bytes.length && bytes[i] !== 0x22; i++) if (bytes[i] === 0x5c) i++;
        break;
      case 0x3a: // :
        keys++;
        break;
      case 0x5b: // [
      case 0x7b: // {
        if (++depth > deepest) deepest = depth;
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth--;
        break;
    }
  }
  return { keys, depth: deepest };
}

function countKeys(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  let count = 0;
  if (Array.isArray(value)) for (const item of value) count += countKeys(item);
  else
    for (const key in value) {
      count++;
      count += countKeys((value as Record<string, unknown>)[key]);
    }
  return count;
}

/** A text that is no JSON; the message is Go's. */
export class JsonSyntaxError extends Error {}

/** A JSON value and the paths of fields that it names more than once (`spec.replicas`, `a.b[0].c`). */
export interface ReadJson {
  readonly value: unknown;
  readonly duplicates: readonly string[];
}

/** Reads JSON. Throws JsonSyntaxError. */
export function readJson(bytes: Buffer): ReadJson {
  const { keys, depth } = shapeOf(bytes);
  if (depth > depthLimit) throw new JsonSyntaxError("exceeded max depth");
  const text = bytes.toString("utf8");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    new Scanner(text).scan();
    // What Go would take after all is refused all the same.
    throw new JsonSyntaxError((error as Error).message);
  }
  if (countKeys(value) === keys) return { value, duplicates: [] };
  const scanner = new Scanner(text);
  scanner.scan();
  return { value, duplicates: scanner.duplicates };
}

/** Goes through a text as Go's scanner does, to say what is wrong where, and which fields are repeated. */
class Scanner {
  readonly duplicates: string[] = [];
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Throws JsonSyntaxError. */
  scan(): void {
    this.#value("");
    this.#space();
    if (this.#at < this.#text.length) this.#fail("after top-level value");
  }

  #space(): void {
    while (" \t\r\n".includes(this.#text[this.#at] ?? "x")) this.#at++;
  }

  /** The next character that is no white space. Throws at the end of the text. */
  #next(): string {
    this.#space();
    const char = this.#text[this.#at];
    if (char === undefined) throw new JsonSyntaxError("unexpected end of JSON input");
    return char;
  }

  #fail(where: string): never {
    const char = this.#text[this.#at];
    if (char === undefined) throw new JsonSyntaxError("unexpected end of JSON input");
    throw new JsonSyntaxError(`invalid character ${quoted(this.#text.codePointAt(this.#at) as number)} ${where}`);
  }

  #value(path: string): void {
    const char = this.#next();
    if (char === "{") this.#object(path);
    else if (char === "[") this.#list(path);
    else if (char === '"') this.#string();
    else if (char === "t") this.#literal("true");
    else if (char === "f") this.#literal("false");
    else if (char === "n") this.#literal("null");
    else if (/[-0-9]/.test(char)) this.#number();
    else this.#fail("looking for beginning of value");
  }

  #object(path: string): void {
    const seen = new Set<string>();
    this.#at++;
    if (this.#next() === "}") {
      this.#at++;
      return;
    }
    for (;;) {
      if (this.#next() !== '"') this.#fail("looking for beginning of object key string");
      const key = this.#string();
      const here = path ? `${path}.${key}` : key;
      if (seen.has(key)) this.duplicates.push(here);
      seen.add(key);
      if (this.#next() !== ":") this.#fail("after object key");
      this.#at++;
      this.#value(here);
      const after = this.#next();
      if (after !== "," && after !== "}") this.#fail("after object key:value pair");
      this.#at++;
      if (after === "}") return;
    }
  }

  #list(path: string): void {
    this.#at++;
    if (this.#next() === "]") {
      this.#at++;
      return;
    }
    for (let i = 0; ; i++) {
      this.#value(`${path}[${i}]`);
      const after = this.#next();
      if (after !== "," && after !== "]") this.#fail("after array element");
      this.#at++;
      if (after === "]") return;
    }
  }

  #string(): string {
    const start = this.#at++;
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined || char < " ") this.#fail("in string literal");
      this.#at++;
      if (char === '"') return JSON.parse(this.#text.slice(start, this.#at)) as string;
      if (char !== "\\") continue;
      if (!'"\\/bfnrtu'.includes(this.#text[this.#at] ?? "x")) this.#fail("in string escape code");
      if (this.#text[this.#at++] !== "u") continue;
      for (let i = 0; i < 4; i++, this.#at++)
        if (!/[0-9a-fA-F]/.test(this.#text[this.#at] ?? "")) this.#fail("in \\u hexadecimal character escape");
    }
  }

  #literal(word: string): void {
    for (const [i, char] of [...word].entries()) {
      if (this.#text[this.#at] !== char) this.#fail(`in literal ${word} (expecting '${word[i]}')`);
      this.#at++;
    }
  }

  #number(): void {
    if (this.#text[this.#at] === "-") this.#at++;
    if (this.#text[this.#at] === "0") this.#at++;
    else this.#digits("in numeric literal");
    if (this.#text[this.#at] === ".") {
      this.#at++;
      this.#digits("after decimal point in numeric literal");
    }
    if (!/[eE]/.test(this.#text[this.#at] ?? "")) return;
    this.#at++;
    if (/[-+]/.test(this.#text[this.#at] ?? "")) this.#at++;
    this.#digits("in exponent of numeric literal");
  }

  #digits(where: string): void {
    if (!/\d/.test(this.#text[this.#at] ?? "")) this.#fail(where);
    while (/\d/.test(this.#text[this.#at] ?? "")) this.#at++;
  }
}

/** A character as Go quotes it in these messages. */
function quoted(code: number): string {
  const char = String.fromCodePoint(code);
  if (char === "'") return "'\\''";
  if (char === '"') return `'"'`;
  const escapes: Record<string, string> = {
    "\t": "\\t",
    "\n": "\\n",
    "\r": "\\r",
    "\\": "\\\\",
    "\b": "\\b",
    "\f": "\\f",
  };
  if (escapes[char]) return `'${escapes[char]}'`;
  return code < 32 || code === 127 ? `'\\x${code.toString(16).padStart(2, "0")}'` : `'${char}'`;
}
