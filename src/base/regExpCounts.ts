/** Counts that V8's linear engine takes, multiplied where they are nested. */
const linearCount = 16;
/** The same of Go's engine. */
const maxCount = 1000;

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

/**
 * A JavaScript pattern that matches and captures the same without counts, where it has such that V8's linear engine
 * does not take: `a{1,20}` becomes `aa?a?…`.
 * @throws SyntaxError for counts that Go does not take
 */
export function withoutLargeCounts(source: string): string {
  if (!/\{\d/.test(source)) return source;
  const items = readItems(source, { at: 0 });
  const largest = largestCount(items);
  if (largest > maxCount) throw new SyntaxError("invalid repeat count");
  return largest > linearCount ? render(items, true) : source;
}

function readItems(source: string, cursor: { at: number }): Item[] {
  const items: Item[] = [];
  while (cursor.at < source.length && source[cursor.at] !== ")") {
    const rest = source.slice(cursor.at);
    const [open = ""] = /^\((\?:|\?<\w+>)?/.exec(rest) ?? [];
    const text = open === "" ? atomAt(rest) : "";
    cursor.at += open.length + text.length;
    const body = open === "" ? [] : readItems(source, cursor);
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
  return Math.max(
    1,
    ...items.map(({ count, body }) => {
      const own = count ? (count.max === Number.POSITIVE_INFINITY ? count.min : count.max) : 1;
      return Math.max(own, 1) * largestCount(body);
    }),
  );
}

/** @param captures false: groups do not capture, as they are copies of one that does */
function render(items: readonly Item[], captures: boolean): string {
  return items.map((item) => renderItem(item, captures)).join("");
}

function renderItem(item: Item, captures: boolean): string {
  const once = one(item, captures);
  if (!item.count) return once + item.quantifier;
  const copy = one(item, false);
  const { min, max, lazy } = item.count;
  if (max === 0) return `${once}{0}`; // its groups still count
  // What a group captures is its last time.
  if (max === Number.POSITIVE_INFINITY) return copy.repeat(Math.max(min - 1, 0)) + once + (min > 0 ? "+" : "*") + lazy;
  const some = `${copy.repeat(Math.max(min - 1, 0))}${`${copy}?${lazy}`.repeat(max - Math.max(min, 1))}${once}`;
  return min > 0 ? some : `(?:${some})?${lazy}`;
}

function one({ text, open, body }: Item, captures: boolean): string {
  return open === "" ? text : `${captures ? open : "(?:"}${render(body, captures)})`;
}
