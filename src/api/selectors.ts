import { PodwireError } from "#base/errors.ts";
import { labelKeyProblems, labelValueProblems } from "./label-names.ts";
import type { LabelSelector } from "./types.ts";

/** Labels of an object; absent means none. */
export type Labels = Readonly<Record<string, string>> | undefined;

/** One parsed requirement of a label selector. `Gt` and `Lt` compare integers. */
export interface Requirement {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt";
  readonly values: readonly string[];
}

/** Whether labels meet all requirements (none: everything matches). */
export function matchesRequirements(requirements: readonly Requirement[], labels: Labels): boolean {
  return requirements.every((requirement) => matchesRequirement(requirement, labels));
}

/** Whether labels meet one requirement. An absent key meets NotIn and DoesNotExist only. */
export function matchesRequirement(requirement: Requirement, labels: Labels): boolean {
  const value = labels && Object.hasOwn(labels, requirement.key) ? labels[requirement.key] : undefined;
  switch (requirement.operator) {
    case "In":
      return value !== undefined && requirement.values.includes(value);
    case "NotIn":
      return value === undefined || !requirement.values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "Gt":
      return isInteger(value) && BigInt(value) > BigInt(requirement.values[0] ?? "0");
    case "Lt":
      return isInteger(value) && BigInt(value) < BigInt(requirement.values[0] ?? "0");
  }
}

/** Whether labels hold every pair, as Service.spec.selector asks. An empty map matches everything. */
export function matchesMap(selector: Readonly<Record<string, string>>, labels: Labels): boolean {
  for (const key in selector) if (labels?.[key] !== selector[key]) return false;
  return true;
}

/** Whether a meta/v1 LabelSelector selects the labels: an absent selector nothing, an empty one everything. */
export function matchesSelector(selector: LabelSelector | undefined, labels: Labels): boolean {
  if (!selector) return false;
  if (selector.matchLabels && !matchesMap(selector.matchLabels, labels)) return false;
  return (selector.matchExpressions ?? []).every((expression) =>
    matchesRequirement({ ...expression, values: expression.values ?? [] }, labels),
  );
}

/** The text form of a LabelSelector, keys in order: `app=web,tier in (a,b),!canary`. */
export function formatSelector(selector: LabelSelector): string {
  const parts = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => ({ key, text: `${key}=${value}` }));
  for (const { key, operator, values = [] } of selector.matchExpressions ?? []) {
    const set = `(${[...values].sort().join(",")})`;
    const text = { In: `${key} in ${set}`, NotIn: `${key} notin ${set}`, Exists: key, DoesNotExist: `!${key}` }[
      operator
    ];
    parts.push({ key, text });
  }
  return parts
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map((part) => part.text)
    .join(",");
}

/**
 * Parses the `labelSelector` query parameter: `a=b`, `a==b`, `a!=b`, `a in (x,y)`, `a notin (x)`, `a`, `!a`, `a>1`.
 * Throws PodwireError `InvalidSelector`. Grammar: k8s.io/apimachinery labels.Parse.
 */
export function parseSelector(text: string): Requirement[] {
  const parser = new SelectorParser(text);
  return parser.parse();
}

/** One comparison of a field selector. */
export interface FieldRequirement {
  readonly field: string;
  readonly value: string;
  readonly equal: boolean;
}

/**
 * Parses the `fieldSelector` query parameter: `spec.nodeName=node01,status.phase!=Running`, with `\,` `\=` `\\` in
 * values. Throws PodwireError `InvalidSelector`. Grammar: k8s.io/apimachinery fields.ParseSelector.
 */
export function parseFieldSelector(text: string): FieldRequirement[] {
  return splitTerms(text)
    .sort()
    .filter((term) => term !== "")
    .map((term) => {
      const match = /^(?<field>.*?)(?<operator>!=|==|=)(?<value>.*)$/s.exec(term);
      if (!match?.groups) {
        throw new PodwireError("InvalidSelector", `invalid selector: '${text}'; can't understand '${term}'`);
      }
      const { field = "", operator, value = "" } = match.groups;
      return { field, equal: operator !== "!=", value: unescapeValue(value) };
    });
}

/** Splits at commas that no backslash escapes. */
function splitTerms(text: string): string[] {
  const terms: string[] = [];
  let term = "";
  for (let i = 0; i < text.length; i++) {
    const char = text[i] ?? "";
    if (char === "\\") term += char + (text[++i] ?? "");
    else if (char === ",") {
      terms.push(term);
      term = "";
    } else term += char;
  }
  return [...terms, term];
}

function unescapeValue(value: string): string {
  return value.replace(/\\(.?)|[,=]/gsu, (found, escaped: string | undefined) => {
    if (escaped === "," || escaped === "=" || escaped === "\\") return escaped;
    const why =
      escaped === undefined
        ? `unescaped character in value: ${found.codePointAt(0)}`
        : `invalid escape sequence: ${found}`;
    throw new PodwireError("InvalidSelector", `invalid field selector: ${why}`);
  });
}

const tokenPattern = /\s*(?:(?<symbol>==|!=|[=!(),<>])|(?<word>[^\s=!(),<>]+))/y;

type Token = { readonly kind: "symbol" | "word" | "end"; readonly text: string };

/**
 * Recursive descent with one token of look-ahead. The messages are those of apimachinery's labels.Parser, odd ones
 * too, since clients show them.
 */
class SelectorParser {
  readonly #text: string;
  readonly #tokens: Token[] = [];
  #next = 0;

  constructor(text: string) {
    this.#text = text;
    const pattern = new RegExp(tokenPattern);
    while (pattern.lastIndex < text.length) {
      const match = pattern.exec(text);
      if (!match?.groups) break; // trailing white space: every other character starts a token
      const { symbol, word } = match.groups;
      this.#tokens.push(symbol === undefined ? { kind: "word", text: word ?? "" } : { kind: "symbol", text: symbol });
    }
  }

  parse(): Requirement[] {
    const requirements: Requirement[] = [];
    for (;;) {
      const token = this.#peek();
      if (token.kind === "end") return requirements;
      if (!startsRequirement(token)) this.#fail(`found '${token.text}', expected: !, identifier, or 'end of string'`);
      requirements.push(this.#requirement());
      const after = this.#take();
      if (after.kind === "end") return requirements;
      if (!isSymbol(after, ",")) this.#fail(`found '${after.text}', expected: ',' or 'end of string'`);
      const next = this.#peek();
      if (!startsRequirement(next)) this.#fail(`found '${next.text}', expected: identifier after ','`);
    }
  }

  #requirement(): Requirement {
    const absent = isSymbol(this.#peek(), "!");
    if (absent) this.#take();
    const { kind, text: key } = this.#take();
    if (kind !== "word") this.#failRequirement(`found '${key}', expected: identifier`);
    const problems = labelKeyProblems(key);
    if (problems.length > 0) this.#failRequirement(invalidValue("<nil>", key, problems));
    if (absent) return { key, operator: "DoesNotExist", values: [] };
    const next = this.#peek();
    if (next.kind === "end" || isSymbol(next, ",")) return { key, operator: "Exists", values: [] };
    const operator = this.#operator();
    const values = operator.many ? this.#set() : [this.#value()];
    this.#check(key, operator.name, values);
    return { key, operator: operator.name, values };
  }

  #operator(): { name: Requirement["operator"]; many: boolean } {
    const { text } = this.#take();
    switch (text) {
      case "=":
      case "==":
        return { name: "In", many: false };
      case "!=":
        return { name: "NotIn", many: false };
      case "in":
        return { name: "In", many: true };
      case "notin":
        return { name: "NotIn", many: true };
      case ">":
        return { name: "Gt", many: false };
      case "<":
        return { name: "Lt", many: false };
      default:
        return this.#failRequirement(`found '${text}', expected: in, notin, =, ==, !=, gt, lt`);
    }
  }

  /** A value may be empty: `a=` and `a=,b`. */
  #value(): string {
    const token = this.#peek();
    if (token.kind === "end" || isSymbol(token, ",")) return "";
    if (token.kind !== "word") this.#failRequirement(`found '${token.text}', expected: identifier`);
    return this.#take().text;
  }

  #set(): string[] {
    const open = this.#take();
    if (!isSymbol(open, "(")) this.#failRequirement(`found '${open.text}' expected: '('`);
    const first = this.#peek();
    if (isSymbol(first, ")")) {
      this.#take();
      return [""];
    }
    if (first.kind !== "word" && !isSymbol(first, ","))
      this.#failRequirement(`found '${first.text}', expected: ',', ')' or identifier`);
    const values = this.#list();
    if (!isSymbol(this.#take(), ")")) this.#failRequirement(`found '${first.text}', expected: ')'`);
    return [...new Set(values)].sort();
  }

  /** Values up to the closing parenthesis; an empty one wherever there is nothing between commas. */
  #list(): string[] {
    const values: string[] = [];
    for (;;) {
      const token = this.#take();
      if (token.kind === "word") {
        values.push(token.text);
        const next = this.#peek();
        if (isSymbol(next, ")")) return values;
        if (!isSymbol(next, ",")) this.#failRequirement(`found '${next.text}', expected: ',' or ')'`);
      } else if (isSymbol(token, ",")) {
        if (values.length === 0) values.push("");
        const next = this.#peek();
        if (isSymbol(next, ")")) return [...values, ""];
        if (isSymbol(next, ",")) values.push("");
      } else this.#failRequirement(`found '${token.text}', expected: ',', or identifier`);
    }
  }

  #check(key: string, operator: Requirement["operator"], values: readonly string[]): void {
    const errors: string[] = [];
    if (operator === "Gt" || operator === "Lt") {
      for (const [i, value] of values.entries()) {
        const why = "for 'Gt', 'Lt' operators, the value must be an integer";
        if (!isInteger(value)) errors.push(invalidValue(`values[${i}]`, value, [why]));
      }
    }
    for (const [i, value] of values.entries()) {
      const problems = labelValueProblems(value);
      if (problems.length > 0) errors.push(invalidValue(`values[${i}][${key}]`, value, problems));
    }
    if (errors.length === 1) this.#failRequirement(errors[0] as string);
    if (errors.length > 1) this.#failRequirement(`[${errors.join(", ")}]`);
  }

  #peek(): Token {
    return this.#tokens[this.#next] ?? { kind: "end", text: "" };
  }

  #take(): Token {
    const token = this.#peek();
    this.#next++;
    return token;
  }

  #failRequirement(message: string): never {
    return this.#fail(`unable to parse requirement: ${message}`);
  }

  #fail(message: string): never {
    throw new PodwireError("InvalidSelector", message, { selector: this.#text });
  }
}

function isSymbol(token: Token, text: string): boolean {
  return token.kind === "symbol" && token.text === text;
}

function startsRequirement(token: Token): boolean {
  return token.kind === "word" || isSymbol(token, "!");
}

function invalidValue(path: string, value: string, problems: readonly string[]): string {
  return `${path}: Invalid value: ${JSON.stringify(value)}: ${problems.join("; ")}`;
}

function isInteger(text: string | undefined): text is string {
  return text !== undefined && /^[+-]?\d{1,19}$/.test(text);
}
