/** Counts that V8's linear engine takes, multiplied where they are nested. */
const linearCount = 16;
/** The same of Go's engine. */
const maxCount = 1000;
/** How deep groups stand in each other, as in Go. */
const maxDepth = 1000;
/** Longest pattern that is made, in characters: a step of the linear engine may look at each of them. */
const maxLength = 20_000;

/** A piece of a pattern and how often it stands there. */
interface Item {
  /** What it is when it is no group. */
  readonly text: string;
  /** `(`, `(?:`, `(?<name>`; empty for what is no group. */
  readonly open: string;
  readonly body: readonly Item[];
  /** `*`, `+?`, … */
  readonly quantifier: string;
  readonly count?: { readonly min: number; readonly max: number; readonly lazy: string };
}

/** A pattern that means the same without large counts is too long, or captures otherwise. */
export class CountsError extends SyntaxError {}

/**
 * A JavaScript pattern that matches the same without counts, where it has such that V8's linear engine does not take:
 * `a{1,4}` becomes `a(?:a(?:a(?:a|)|)|)`, which chooses as the count does. It is for the linear engine alone: V8's
 * other one makes native code of it, which can take it minutes.
 * @param captures whether groups have to capture the same; else none captures
 * @returns undefined where the pattern has no such counts
 * @throws SyntaxError for what Go does not take; CountsError
 */
export function withoutLargeCounts(source: string, captures: boolean): string | undefined {
  const items = readItems(source, { at: 0 }, 0);
  const largest = largestCount(items);
  if (largest > maxCount) throw new SyntaxError("invalid repeat count");
  return largest > linearCount ? render(items, captures) : undefined;
}

function readItems(source: string, cursor: { at: number }, depth: number): Item[] {
  if (depth > maxDepth) throw new SyntaxError("expression nests too deeply");
  const items: Item[] = [];
  while (cursor.at < source.length && source[cursor.at] !== ")") {
    const rest = source.slice(cursor.at);
    const [open = ""] = /^\((?:\?(?::|<\w+>|<?[=!]|[ims]*-?[ims]*:))?/.exec(rest) ?? [];
    const text = open === "" ? atomAt(rest) : "";
    cursor.at += open.length + text.length;
    const body = open === "" ? [] : readItems(source, cursor, depth + 1);
    if (open !== "") cursor.at++; // its closing bracket
    items.push({ text, open, body, ...quantifierAt(source, cursor) });
  }
  return items;
}

/** One character, class or escape. */
function atomAt(rest: string): string {
  const known = /^(?:\\x[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\[pP]\{[^}]*\}|\\[\s\S]|\[(?:\\[\s\S]|[^\]\\])*\])/.exec(
    rest,
  );
  return known?.[0] ?? (rest[0] as string);
}

function quantifierAt(source: string, cursor: { at: number }): Pick<Item, "quantifier" | "count"> {
  const rest = source.slice(cursor.at, cursor.at + 20);
  const plain = /^[*+?]\??/.exec(rest)?.[0] ?? "";
  const [all, least, comma, most, lazy = ""] = /^\{(\d+)(,?)(\d*)\}(\??)/.exec(rest) ?? [];
  cursor.at += plain.length + (all?.length ?? 0);
  if (least === undefined) return { quantifier: plain };
  const min = Number(least);
  const max = most ? Number(most) : comma ? Number.POSITIVE_INFINITY : min;
  return { quantifier: "", count: { min, max, lazy } };
}

function largestCount(items: readonly Item[]): number {
  return items.reduce((largest, item) => Math.max(largest, copies(item)), 1);
}

/** How often an engine without counts has the longest-winded part of an item. */
function copies({ count, body }: Item): number {
  const own = count ? (count.max === Number.POSITIVE_INFINITY ? count.min : count.max) : 1;
  return Math.max(own, 1) * largestCount(body);
}

function render(items: readonly Item[], captures: boolean): string {
  let out = "";
  for (const item of items) out = bounded(out + renderItem(item, captures));
  return out;
}

function renderItem(item: Item, captures: boolean): string {
  const once = one(item, captures);
  if (!item.count) return once + item.quantifier;
  const { min, max, lazy } = item.count;
  if (max === 0) return `${once}{0}`; // its groups still count
  if (copies(item) <= linearCount) return `${once}{${min},${max === Number.POSITIVE_INFINITY ? "" : max}}${lazy}`;
  const copy = one(item, false);
  // What a group captures is its last time.
  if (max === Number.POSITIVE_INFINITY) return repeated(copy, min - 1) + once + (min > 0 ? "+" : "*") + lazy;
  if (max === min) return repeated(copy, min - 1) + once;
  if (max === 1) return `${once}?${lazy}`;
  if (captures && hasCapture(item))
    throw new CountsError(`a group that captures cannot be repeated up to ${copies(item)} times: use (?:…)`);
  // No `?`: JavaScript's would not take a copy that matches nothing, as Go's does.
  const [start, end] = lazy ? ["(?:|", ")"] : ["(?:", "|)"];
  return repeated(copy, min) + repeated(start + copy, max - min) + repeated(end, max - min);
}

function one({ text, open, body }: Item, captures: boolean): string {
  if (open === "") return text;
  return `${!captures && capturing.test(open) ? "(?:" : open}${render(body, captures)})`;
}

const capturing = /^\((?:\?<\w+>)?$/;

function hasCapture({ open, body }: Item): boolean {
  return capturing.test(open) || body.some(hasCapture);
}

function repeated(text: string, times: number): string {
  if (text.length * times > maxLength) throw tooLong();
  return text.repeat(Math.max(times, 0));
}

function bounded(text: string): string {
  if (text.length > maxLength) throw tooLong();
  return text;
}

function tooLong(): CountsError {
  return new CountsError(`counts make more than ${maxLength} characters when they are written out`);
}
