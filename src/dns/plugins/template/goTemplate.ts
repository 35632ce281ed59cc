import { type Node, type Operand, type Pipeline, parseTemplate, TemplateError } from "./goTemplateParser.ts";

export { TemplateError } from "./goTemplateParser.ts";

/** What templates calculate with. */
export type Value =
  | string
  | number
  | boolean
  | undefined
  | readonly Value[]
  | ReadonlyMap<string, Value>
  | TemplateFunction;

/** A function or a method. */
export type TemplateFunction = (...args: readonly Value[]) => Value;

/** Longest text that a template may make, in characters. */
const maxOutput = 65_536;

/** Go's own functions (text/template, "Functions") that make sense for records; `and` and `or` stand in `call`. */
const builtins: ReadonlyMap<string, TemplateFunction> = new Map<string, TemplateFunction>([
  ["not", (value) => !truth(value)],
  ["len", (value) => lengthOf(value)],
  ["index", (value, ...keys) => keys.reduce(indexed, value)],
  ["slice", (value, from = 0, to) => sliced(value, from, to)],
  ["print", (...values) => values.map(textOf).join(" ")],
  ["println", (...values) => `${values.map(textOf).join(" ")}\n`],
  ["printf", (format, ...values) => formatted(textOf(format), values)],
  ["eq", (first, ...others) => others.some((other) => other === first)],
  ["ne", (a, b) => a !== b],
  ["lt", (a, b) => compared(a, b) < 0],
  ["le", (a, b) => compared(a, b) <= 0],
  ["gt", (a, b) => compared(a, b) > 0],
  ["ge", (a, b) => compared(a, b) >= 0],
]);

/** A template in Go's text/template language: values, pipelines, variables, functions, if, with and range. */
export class GoTemplate {
  readonly source: string;
  readonly #nodes: readonly Node[];
  readonly #functions: ReadonlyMap<string, TemplateFunction>;

  /** @throws TemplateError for one that cannot be read, or calls what is not there */
  constructor(source: string, functions: ReadonlyMap<string, TemplateFunction>) {
    this.source = source;
    this.#functions = new Map([...builtins, ...functions]);
    this.#nodes = parseTemplate(source, new Set([...this.#functions.keys(), "and", "or"]));
  }

  /** The text for this data. @throws TemplateError for fields that are not there and arguments that do not fit */
  execute(data: Value): string {
    const run = new Run(this.#functions, data);
    run.nodes(this.#nodes, data);
    return run.output;
  }
}

class Run {
  readonly #functions: ReadonlyMap<string, TemplateFunction>;
  readonly #variables: Map<string, Value>;
  output = "";

  constructor(functions: ReadonlyMap<string, TemplateFunction>, data: Value) {
    this.#functions = functions;
    this.#variables = new Map([["$", data]]);
  }

  nodes(nodes: readonly Node[], dot: Value): void {
    for (const node of nodes) {
      if (node.kind === "text") this.#write(node.text);
      else if (node.kind === "print") this.#print(node.pipeline, dot);
      else if (node.kind === "range") this.#range(node, dot);
      else {
        const value = this.#value(node.pipeline, dot);
        if (truth(value)) this.nodes(node.body, node.kind === "with" ? value : dot);
        else this.nodes(node.otherwise, dot);
      }
    }
  }

  #print(pipeline: Pipeline, dot: Value): void {
    const value = this.#value(pipeline, dot);
    if (pipeline.variables.length === 0) this.#write(textOf(value));
  }

  #range(node: Node & { readonly kind: "if" | "with" | "range" }, dot: Value): void {
    const { variables, ...pipeline } = node.pipeline;
    const list = this.#value({ ...pipeline, variables: [] }, dot);
    const entries: (readonly [Value, Value])[] =
      list instanceof Map
        ? [...list].sort(([a], [b]) => (a < b ? -1 : 1))
        : Array.isArray(list)
          ? [...list.entries()]
          : [];
    for (const [key, value] of entries) {
      const names = variables.length === 2 ? variables : ["", variables[0] ?? ""];
      if (names[0]) this.#variables.set(names[0], key);
      if (names[1]) this.#variables.set(names[1], value);
      this.nodes(node.body, value);
    }
    if (entries.length === 0) this.nodes(node.otherwise, dot);
  }

  #write(text: string): void {
    this.output += text;
    if (this.output.length > maxOutput) throw new TemplateError(`more than ${maxOutput} characters`);
  }

  #value({ commands, variables }: Pipeline, dot: Value): Value {
    let value: Value;
    for (const [i, command] of commands.entries()) value = this.#command(command, i === 0 ? [] : [value], dot);
    for (const name of variables) this.#variables.set(name, value);
    return value;
  }

  #command(operands: readonly Operand[], last: readonly Value[], dot: Value): Value {
    const [first, ...rest] = operands as [Operand, ...Operand[]];
    const args = () => [...rest.map((operand) => this.#operand(operand, dot, [])), ...last];
    if (first.kind === "function" && (first.name === "and" || first.name === "or")) {
      return this.#shortCircuit(first.name === "and", rest, last, dot);
    }
    if (first.kind === "function") return this.#call(first.name, args());
    if (first.kind === "constant" && rest.length + last.length > 0)
      throw new TemplateError("can't give argument to non-function");
    return this.#operand(first, dot, args());
  }

  /** The first value that decides; what stands behind it is not looked at. */
  #shortCircuit(all: boolean, operands: readonly Operand[], last: readonly Value[], dot: Value): Value {
    let value: Value;
    for (const operand of operands) {
      value = this.#operand(operand, dot, []);
      if (truth(value) !== all) return value;
    }
    return last.length > 0 ? last[0] : value;
  }

  #call(name: string, args: readonly Value[]): Value {
    return (this.#functions.get(name) as TemplateFunction)(...args);
  }

  #operand(operand: Operand, dot: Value, args: readonly Value[]): Value {
    if (operand.kind === "constant") return operand.value;
    if (operand.kind === "function") return this.#call(operand.name, args);
    const { of, fields } = operand;
    const base = typeof of !== "string" ? this.#value(of, dot) : of === "dot" ? dot : this.#variable(of);
    const value = fields.reduce(field, base);
    if (typeof value === "function") return value(...args);
    if (args.length > 0) throw new TemplateError(`${fields.at(-1) ?? of} is not a method but has arguments`);
    return value;
  }

  #variable(name: string): Value {
    if (!this.#variables.has(name)) throw new TemplateError(`undefined variable ${JSON.stringify(name)}`);
    return this.#variables.get(name);
  }
}

/** Maps that stand for Go's structs know their fields; others give nothing for a key that is not there. */
export class Struct extends Map<string, Value> {}

function field(value: Value, name: string): Value {
  if (value instanceof Map) {
    if (value instanceof Struct && !value.has(name)) throw new TemplateError(`can't evaluate field ${name}`);
    return value.get(name);
  }
  throw new TemplateError(`can't evaluate field ${name} in ${typeof value}`);
}

function indexed(value: Value, key: Value): Value {
  if (value instanceof Map) return value.get(textOf(key)) ?? "";
  if ((Array.isArray(value) || typeof value === "string") && typeof key === "number") {
    if (key < 0 || key >= value.length) throw new TemplateError(`error calling index: index out of range: ${key}`);
    return typeof value === "string" ? value.charCodeAt(key) : (value as readonly Value[])[key];
  }
  throw new TemplateError(`error calling index: can't index item with ${typeof key}`);
}

function sliced(value: Value, from: Value, to: Value): Value {
  if (typeof value !== "string" && !Array.isArray(value))
    throw new TemplateError("error calling slice: can't slice item");
  const end = typeof to === "number" ? to : value.length;
  if (typeof from !== "number" || from < 0 || from > end || end > value.length) {
    throw new TemplateError("error calling slice: index out of range");
  }
  return value.slice(from, end) as string | readonly Value[];
}

function lengthOf(value: Value): number {
  if (value instanceof Map) return value.size;
  if (typeof value === "string" || Array.isArray(value)) return value.length;
  throw new TemplateError(`error calling len: len of type ${typeof value}`);
}

function compared(a: Value, b: Value): number {
  const same = (typeof a === "number" && typeof b === "number") || (typeof a === "string" && typeof b === "string");
  if (!same) throw new TemplateError("incompatible types for comparison");
  return a < b ? -1 : a > b ? 1 : 0;
}

function truth(value: Value): boolean {
  if (value instanceof Map) return value.size > 0;
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

function textOf(value: Value): string {
  if (value === undefined) return "<no value>";
  if (Array.isArray(value)) return `[${value.map(textOf).join(" ")}]`;
  if (value instanceof Map) return `map[${[...value].map(([key, item]) => `${key}:${textOf(item)}`).join(" ")}]`;
  return String(value);
}

/** Go's printf with %s %v %q %d %x %X %o %b %%, width and zeros. */
function formatted(format: string, values: readonly Value[]): string {
  let used = 0;
  return format.replaceAll(
    /%(-?)(0?)(\d{0,3})([a-zA-Z%])/g,
    (all, left: string, zero: string, width: string, verb: string) => {
      if (verb === "%") return "%";
      if (used >= values.length) return `%!${verb}(MISSING)`;
      const text = verbText(verb, values[used++]);
      if (text === undefined) throw new TemplateError(`printf verb ${all} is not there`);
      return left ? text.padEnd(Number(width)) : text.padStart(Number(width), zero || " ");
    },
  );
}

function verbText(verb: string, value: Value): string | undefined {
  const bases: Readonly<Record<string, number>> = { d: 10, x: 16, X: 16, o: 8, b: 2 };
  if (verb === "s" || verb === "v") return textOf(value);
  if (verb === "q") return JSON.stringify(textOf(value));
  const base = bases[verb];
  if (base === undefined) return undefined;
  if (typeof value !== "number") return `%!${verb}(${typeof value}=${textOf(value)})`;
  const text = value.toString(base);
  return verb === "X" ? text.toUpperCase() : text;
}
