/** Words of an action and trees of a template, in the syntax of Go's text/template. */

/** One operand of a command. */
export type Operand =
  | { readonly kind: "constant"; readonly value: string | number | boolean | undefined }
  /** `.A.B`, `$.A`, `$x.A`, `(pipeline).A`: fields of the dot, of a variable, or of a pipeline's value. */
  | { readonly kind: "fields"; readonly of: "dot" | string | Pipeline; readonly fields: readonly string[] }
  | { readonly kind: "function"; readonly name: string };

/** Commands, each getting the value of the one before as its last argument. */
export interface Pipeline {
  /** Variables that the value is kept in: one, or two for range. */
  readonly variables: readonly string[];
  readonly assigns: boolean;
  readonly commands: readonly (readonly Operand[])[];
}

/** A piece of a template. */
export type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "print"; readonly pipeline: Pipeline }
  | {
      readonly kind: "if" | "with" | "range";
      readonly pipeline: Pipeline;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
    };

/** A template that cannot be read. */
export class TemplateError extends Error {}

const word =
  /\s+|"(?:[^"\\\n]|\\.)*"|`[^`]*`|-?\d+(?:\.\d+)?|:=|=|\||\(|\)|,|\$\w*|(?:\.[A-Za-z_]\w*)+|\.|[A-Za-z_]\w*/y;

/** Parses a template's text. `functions`: names that may be called. @throws TemplateError */
export function parseTemplate(text: string, functions: ReadonlySet<string>): readonly Node[] {
  const parser = new Parser(pieces(text), functions);
  const nodes = parser.nodes();
  if (parser.ended) throw new TemplateError(`unexpected {{${parser.ended}}}`);
  return nodes;
}

type Piece = { readonly text: string } | { readonly action: readonly string[] };

/** Text and actions in turn; `{{-` and `-}}` take away the white space beside them. */
function pieces(template: string): Piece[] {
  const found: Piece[] = [];
  let trimNext = false;
  for (let at = 0; at < template.length; ) {
    const open = template.indexOf("{{", at);
    const raw = template.slice(at, open < 0 ? undefined : open);
    const trimEnd = open >= 0 && /^-\s/.test(template.slice(open + 2, open + 4));
    let text = trimNext ? raw.trimStart() : raw;
    if (trimEnd) text = text.trimEnd();
    if (text) found.push({ text });
    if (open < 0) break;
    const close = closingOf(template, open);
    let inner = template.slice(open + 2, close);
    trimNext = /\s-$/.test(inner);
    if (trimEnd) inner = inner.slice(1);
    if (trimNext) inner = inner.slice(0, -1);
    if (!/^\s*\/\*[\s\S]*\*\/\s*$/.test(inner)) found.push({ action: wordsOf(inner) });
    at = close + 2;
  }
  return found;
}

/** Where the action that opens at `open` closes; braces in strings do not count. */
function closingOf(template: string, open: number): number {
  const body = /(?:"(?:[^"\\]|\\.)*"|`[^`]*`|(?!\}\})[\s\S])*/y;
  body.lastIndex = open + 2;
  body.exec(template);
  if (!template.startsWith("}}", body.lastIndex)) throw new TemplateError("unclosed action");
  return body.lastIndex;
}

function wordsOf(action: string): string[] {
  const words: string[] = [];
  for (word.lastIndex = 0; word.lastIndex < action.length; ) {
    const at = word.lastIndex;
    const match = word.exec(action);
    if (!match) throw new TemplateError(`unexpected ${JSON.stringify(action[at])} in {{${action}}}`);
    // White space counts where it takes a field away from what stands before it: `index .A 1` and `(x).A`.
    words.push(match[0].trim() === "" ? " " : match[0]);
  }
  return words;
}

class Parser {
  readonly #pieces: readonly Piece[];
  readonly #functions: ReadonlySet<string>;
  #at = 0;
  /** The keyword that ended the last list of nodes: "end", "else", or "" at the end of the text. */
  ended = "";
  #elseWords: readonly string[] = [];

  constructor(all: readonly Piece[], functions: ReadonlySet<string>) {
    this.#pieces = all;
    this.#functions = functions;
  }

  nodes(): Node[] {
    const nodes: Node[] = [];
    for (let piece = this.#pieces[this.#at++]; piece; piece = this.#pieces[this.#at++]) {
      if ("text" in piece) {
        nodes.push({ kind: "text", text: piece.text });
        continue;
      }
      const words = piece.action.filter((text, i, all) => text !== " " || (i > 0 && i < all.length - 1));
      const [keyword, ...rest] = words;
      if (keyword === "end" || keyword === "else") {
        this.ended = keyword;
        this.#elseWords = rest.filter((text, i) => i > 0 || text !== " ");
        return nodes;
      }
      if (keyword === "if" || keyword === "with" || keyword === "range") nodes.push(this.#block(keyword, rest));
      else if (keyword === "template" || keyword === "define" || keyword === "block" || keyword === "break") {
        throw new TemplateError(`{{${keyword}}} is not there`);
      } else nodes.push({ kind: "print", pipeline: this.#pipeline(words) });
    }
    this.ended = "";
    return nodes;
  }

  #block(kind: "if" | "with" | "range", words: readonly string[]): Node {
    const pipeline = this.#pipeline(words);
    const body = this.nodes();
    let otherwise: readonly Node[] = [];
    if (this.ended === "else") {
      const [again, ...rest] = this.#elseWords;
      if (again === "if" || again === "with") return { kind, pipeline, body, otherwise: [this.#block(again, rest)] };
      otherwise = this.nodes();
    }
    if (this.ended !== "end") throw new TemplateError(`{{${kind}}} without {{end}}`);
    this.ended = "";
    return { kind, pipeline, body, otherwise };
  }

  #pipeline(words: readonly string[]): Pipeline {
    const queue = words[0] === " " ? words.slice(1) : [...words];
    const { variables, assigns } = declaration(queue);
    const commands = this.#commands(queue);
    if (queue.length > 0) throw new TemplateError(`unexpected ${JSON.stringify(queue[0])} in a command`);
    return { variables, assigns, commands };
  }

  #commands(queue: string[]): Operand[][] {
    const commands: Operand[][] = [[]];
    for (let next = queue[0]; next !== undefined && next !== ")"; next = queue[0]) {
      if (next === " ") queue.shift();
      else if (next === "|") {
        queue.shift();
        commands.push([]);
      } else commands.at(-1)?.push(this.#operand(queue));
    }
    if (commands.some((command) => command.length === 0)) throw new TemplateError("missing value for command");
    return commands;
  }

  #operand(queue: string[]): Operand {
    const text = queue.shift() as string;
    if (text === "(") {
      const commands = this.#commands(queue);
      if (queue.shift() !== ")") throw new TemplateError("unclosed left paren");
      return { kind: "fields", of: { variables: [], assigns: false, commands }, fields: fieldsBehind(queue) };
    }
    if (text === ".") return { kind: "fields", of: "dot", fields: [] };
    if (text.startsWith(".")) return { kind: "fields", of: "dot", fields: text.slice(1).split(".") };
    if (text.startsWith("$")) return { kind: "fields", of: text, fields: fieldsBehind(queue) };
    if (text.startsWith('"')) return { kind: "constant", value: unquoted(text) };
    if (text.startsWith("`")) return { kind: "constant", value: text.slice(1, -1) };
    if (/^-?\d/.test(text)) return { kind: "constant", value: Number(text) };
    if (text === "true" || text === "false") return { kind: "constant", value: text === "true" };
    if (text === "nil") return { kind: "constant", value: undefined };
    if (this.#functions.has(text)) return { kind: "function", name: text };
    if (/^[A-Za-z_]/.test(text)) throw new TemplateError(`function ${JSON.stringify(text)} not defined`);
    throw new TemplateError(`unexpected ${JSON.stringify(text)} in operand`);
  }
}

/** Takes `$x :=` or `$i, $x :=` off the front. */
function declaration(queue: string[]): { readonly variables: string[]; readonly assigns: boolean } {
  const compact = queue.filter((text) => text !== " ");
  const at = compact.findIndex((text) => text === ":=" || text === "=");
  if (at < 0) return { variables: [], assigns: false };
  const variables = compact.slice(0, at).filter((text) => text !== ",");
  if (variables.length === 0 || variables.length > 2 || !variables.every((text) => /^\$\w+$/.test(text))) {
    throw new TemplateError("bad declaration of variables");
  }
  const sign = compact[at];
  queue.splice(0, queue.indexOf(sign as string) + 1);
  return { variables, assigns: sign === "=" };
}

function fieldsBehind(queue: string[]): string[] {
  return /^\.\w/.test(queue[0] ?? "") ? (queue.shift() as string).slice(1).split(".") : [];
}

function unquoted(text: string): string {
  try {
    return JSON.parse(text) as string;
  } catch {
    throw new TemplateError(`bad string ${text}`);
  }
}
