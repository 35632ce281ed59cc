import { type Dict, isDict } from "../object.ts";

/**
 * JSONPath of printer columns, selectable fields and the scale subresource (k8s.io/client-go/util/jsonpath): fields,
 * indexes, slices, wildcards, filters that compare, and recursive descent.
 */

type Step =
  | { readonly kind: "field"; readonly name: string }
  | { readonly kind: "slice"; readonly from?: number; readonly to?: number; readonly single: boolean }
  | { readonly kind: "all" }
  | { readonly kind: "recursive" }
  | { readonly kind: "filter"; readonly left: Operand; readonly operator: string; readonly right?: Operand };

type Operand = { readonly path: readonly Step[] } | { readonly value: unknown };

/**
 * So many values a path may pass on its way. One object of the longest kind has fewer; only several `..` in one path
 * come by the same values again and again.
 */
const VISIT_LIMIT = 1_000_000;

/** A parsed path. */
export interface JsonPath {
  /** The values that the path leads to; none when there are more than a million on the way. */
  find(object: unknown): readonly unknown[];
  /** Names of its steps when all are plain fields. */
  readonly fields: readonly string[] | undefined;
}

/** Parses a path such as `.status.conditions[?(@.type=="Ready")].status`. Throws SyntaxError. */
export function parseJsonPath(text: string): JsonPath {
  const parser = new Parser(text);
  const steps = parser.steps(() => parser.done);
  const plain = steps.every((s) => s.kind === "field");
  return {
    find: (object) => {
      const visits = { left: VISIT_LIMIT };
      const found = walk(steps, [object], visits);
      return visits.left < 0 ? [] : found;
    },
    fields: plain ? steps.map((s) => (s as { name: string }).name) : undefined,
  };
}

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get done(): boolean {
    return this.#at >= this.#text.length;
  }

  /** Reads steps until `end`. */
  steps(end: () => boolean): Step[] {
    const out: Step[] = [];
    while (!end()) {
      const c = this.#text[this.#at];
      if (c === ".") {
        this.#at++;
        if (this.#text[this.#at] === ".") {
          this.#at++;
          out.push({ kind: "recursive" });
        }
        if (this.#text[this.#at] === "[" || end()) continue;
        out.push(this.#name());
      } else if (c === "[") out.push(this.#bracket());
      else if (c === "$" || c === "@") this.#at++;
      else throw new SyntaxError(`unrecognized character in action: ${JSON.stringify(c)}`);
    }
    return out;
  }

  #name(): Step {
    if (this.#text[this.#at] === "*") {
      this.#at++;
      return { kind: "all" };
    }
    let name = "";
    while (!this.done && !/[.[\]()=!<>\s|]/.test(this.#text[this.#at] as string)) {
      if (this.#text[this.#at] === "\\") this.#at++;
      name += this.#text[this.#at++] ?? "";
    }
    if (name === "") throw new SyntaxError(`unexpected end of the path ${JSON.stringify(this.#text)}`);
    return { kind: "field", name };
  }

  #bracket(): Step {
    const rest = this.#text.slice(this.#at);
    const quoted = /^\[\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\s*\]/.exec(rest);
    if (quoted) {
      this.#at += quoted[0].length;
      return { kind: "field", name: (quoted[1] ?? quoted[2] ?? "").replace(/\\(.)/g, "$1") };
    }
    const range = /^\[\s*(\*|(-?\d+)?(:(-?\d+)?)?)\s*\]/.exec(rest);
    if (range && range[1] !== "") {
      this.#at += range[0].length;
      if (range[1] === "*") return { kind: "all" };
      const single = range[3] === undefined;
      return {
        kind: "slice",
        single,
        ...(range[2] === undefined ? {} : { from: Number(range[2]) }),
        ...(range[4] === undefined ? {} : { to: Number(range[4]) }),
      };
    }
    if (rest.startsWith("[?(")) return this.#filter();
    throw new SyntaxError(`invalid array index ${rest.split("]")[0]}]`);
  }

  #filter(): Step {
    this.#at += 3;
    const left = this.#operand();
    this.#space();
    const operator = /^(==|!=|<=|>=|<|>)/.exec(this.#text.slice(this.#at))?.[0];
    this.#at += operator?.length ?? 0;
    const right = operator ? this.#operand() : undefined;
    this.#space();
    if (!this.#text.startsWith(")]", this.#at)) throw new SyntaxError("unterminated filter");
    this.#at += 2;
    return { kind: "filter", left, operator: operator ?? "exists", ...(right ? { right } : {}) };
  }

  #operand(): Operand {
    this.#space();
    const rest = this.#text.slice(this.#at);
    if (rest[0] === "@" || rest[0] === "$") {
      this.#at++;
      return { path: this.steps(() => this.done || /[\s=!<>)]/.test(this.#text[this.#at] as string)) };
    }
    const literal = /^(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(-?\d+(?:\.\d+)?)|(true|false))/.exec(rest);
    if (!literal) throw new SyntaxError(`unrecognized operand in filter: ${rest}`);
    this.#at += literal[0].length;
    if (literal[3] !== undefined) return { value: Number(literal[3]) };
    if (literal[4] !== undefined) return { value: literal[4] === "true" };
    return { value: (literal[1] ?? literal[2] ?? "").replace(/\\(.)/g, "$1") };
  }

  #space(): void {
    while (/\s/.test(this.#text[this.#at] ?? "")) this.#at++;
  }
}

/** What may still be visited; below zero, the answer is not complete. */
interface Visits {
  left: number;
}

function walk(steps: readonly Step[], start: readonly unknown[], visits: Visits): readonly unknown[] {
  let values = start;
  for (const step of steps) {
    const next: unknown[] = [];
    for (const value of values) {
      const taken = take(step, value, visits);
      visits.left -= taken.length;
      if (visits.left < 0) return [];
      for (const one of taken) next.push(one);
    }
    values = next;
  }
  return values;
}

function take(step: Step, value: unknown, visits: Visits): readonly unknown[] {
  switch (step.kind) {
    case "field":
      return isDict(value) && Object.hasOwn(value, step.name) ? [value[step.name]] : [];
    case "all":
      return Array.isArray(value) ? value : isDict(value) ? sortedValues(value) : [];
    case "recursive":
      return descend(value, visits.left);
    case "slice":
      return Array.isArray(value) ? slice(step, value) : [];
    case "filter":
      return Array.isArray(value) ? value.filter((item) => holds(step, item, visits)) : [];
  }
}

function sortedValues(value: Dict): unknown[] {
  return Object.keys(value)
    .sort()
    .map((key) => value[key]);
}

/** A value and all below it, each before what it holds; one more than the limit when there are more. */
function descend(value: unknown, limit: number): unknown[] {
  const found: unknown[] = [];
  const waiting = [value];
  while (waiting.length > 0 && found.length <= limit) {
    const one = waiting.pop();
    found.push(one);
    const below = Array.isArray(one) ? one : isDict(one) ? sortedValues(one) : [];
    for (let i = below.length - 1; i >= 0; i--) waiting.push(below[i]);
  }
  return found;
}

function slice(step: Step & { kind: "slice" }, list: readonly unknown[]): unknown[] {
  if (!step.single) return list.slice(step.from ?? 0, step.to);
  const item = list.at(step.from ?? 0);
  return item === undefined ? [] : [item];
}

function holds(step: Step & { kind: "filter" }, item: unknown, visits: Visits): boolean {
  const value = (operand: Operand) => ("path" in operand ? walk(operand.path, [item], visits) : [operand.value]);
  const left = value(step.left);
  if (!step.right) return left.length > 0;
  const right = value(step.right);
  if (left.length === 0 || right.length === 0) return false;
  const [a, b] = [left[0], right[0]] as [string, string];
  if (typeof a !== typeof b) return step.operator === "!=";
  switch (step.operator) {
    case "==":
      return a === b;
    case "!=":
      return a !== b;
    case "<":
      return a < b;
    case ">":
      return a > b;
    case "<=":
      return a <= b;
    default:
      return a >= b;
  }
}
