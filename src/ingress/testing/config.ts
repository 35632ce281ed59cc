/** One directive of an nginx configuration; a block has the directives inside. */
export interface Directive {
  readonly words: readonly string[];
  readonly block?: readonly Directive[];
}

/**
 * Reads a configuration by the rules of nginx's own tokenizer (ngx_conf_read_token): what a hostile text would have to
 * fool. Throws on what nginx calls an unexpected end or an unexpected brace.
 */
export function parseConfig(text: string): Directive[] {
  const state = { text, at: 0 };
  const directives = readBlock(state, true);
  if (state.at < text.length) throw new Error("text after the end");
  return directives;
}

interface State {
  readonly text: string;
  at: number;
}

function readBlock(state: State, outermost: boolean): Directive[] {
  const directives: Directive[] = [];
  for (;;) {
    const { words, end } = readWords(state);
    if (end === ";") directives.push({ words });
    else if (end === "{") directives.push({ words, block: readBlock(state, false) });
    else if (words.length > 0) throw new Error(`directive not ended: ${words.join(" ")}`);
    else if (end === "}" && outermost) throw new Error("unexpected }");
    else if (end === "" && !outermost) throw new Error("unexpected end of file");
    else return directives;
  }
}

function readWords(state: State): { words: string[]; end: string } {
  const words: string[] = [];
  for (;;) {
    const next = state.text[state.at];
    if (next === undefined) return { words, end: "" };
    if (/\s/.test(next)) state.at++;
    else if (next === "#") skipLine(state);
    else if (next === ";" || next === "{" || next === "}") {
      state.at++;
      return { words, end: next };
    } else words.push(next === '"' || next === "'" ? readQuoted(state, next) : readPlain(state));
  }
}

function skipLine(state: State): void {
  const end = state.text.indexOf("\n", state.at);
  state.at = end < 0 ? state.text.length : end + 1;
}

function readQuoted(state: State, mark: string): string {
  let word = "";
  for (state.at++; state.text[state.at] !== mark; state.at++) {
    const next = state.text[state.at];
    if (next === undefined) throw new Error("quote not closed");
    if (next === "\\" && /["'\\]/.test(state.text[state.at + 1] ?? "")) state.at++;
    word += state.text[state.at];
  }
  state.at++;
  return word;
}

function readPlain(state: State): string {
  const start = state.at;
  while (state.at < state.text.length && !/[\s;{]/.test(state.text[state.at] ?? "")) {
    state.at += state.text[state.at] === "\\" ? 2 : 1;
  }
  return state.text.slice(start, state.at);
}
