import { PodwireError } from "#base/errors.ts";
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
    .filter((term) => term !== "")
    .map((term) => {
      const match = /^(?<field>[^=!]*)(?<operator>!=|==|=)(?<value>.*)$/s.exec(term);
      if (!match?.groups) {
        throw new PodwireError("InvalidSelector", `invalid selector: '${text}'; can't understand '${term}'`);
      }
      const { field = "", operator, value = "" } = match.groups;
      return { field, equal: operator !== "!=", value: unescapeValue(value, text) };
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

function unescapeValue(value: string, whole: string): string {
  return value.replace(/\\(.?)|[,=]/gs, (found, escaped: string | undefined) => {
    if (escaped === "," || escaped === "=" || escaped === "\\") return escaped;
    throw new PodwireError("InvalidSelector", `invalid field selector: ${whole}: invalid escape or character ${found}`);
  });
}

const tokenPattern = /\s*(?:(?<symbol>==|!=|[=!(),<>])|(?<word>[^\s=!(),<>]+))/y;

type Token = { readonly kind: "symbol" | "word" | "end"; readonly text: string };

/** Recursive descent over at most two tokens of look-ahead. */
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
    if (this.#peek().kind === "end") return requirements;
    for (;;) {
      requirements.push(this.#requirement());
      const token = this.#take();
      if (token.kind === "end") return requirements;
      if (token.text !== ",") this.#fail(token, "',' or 'end of string'");
      // No comma at the very end, as upstream.
      if (this.#peek().kind === "end") this.#fail(this.#peek(), "identifier after ','");
    }
  }

  #requirement(): Requirement {
    if (this.#peek().text === "!" && this.#peek().kind === "symbol") {
      this.#take();
      return { key: this.#key(), operator: "DoesNotExist", values: [] };
    }
    const key = this.#key();
    const token = this.#peek();
    if (token.kind === "end" || (token.kind === "symbol" && token.text === ",")) {
      return { key, operator: "Exists", values: [] };
    }
    this.#take();
    switch (token.text) {
      case "=":
      case "==":
        return { key, operator: "In", values: [this.#value()] };
      case "!=":
        return { key, operator: "NotIn", values: [this.#value()] };
      case "in":
        return { key, operator: "In", values: this.#set() };
      case "notin":
        return { key, operator: "NotIn", values: this.#set() };
      case ">":
        return { key, operator: "Gt", values: [this.#integer()] };
      case "<":
        return { key, operator: "Lt", values: [this.#integer()] };
      default:
        return this.#fail(token, "in, notin, =, ==, !=, gt, lt");
    }
  }

  #key(): string {
    const token = this.#take();
    if (token.kind !== "word") this.#fail(token, "identifier");
    if (!isLabelKey(token.text)) {
      throw new PodwireError("InvalidSelector", `unable to parse requirement: <nil>: Invalid value: "${token.text}"`);
    }
    return token.text;
  }

  /** A value may be empty: `a=` and `a=,b`. */
  #value(): string {
    const token = this.#peek();
    if (token.kind === "end" || (token.kind === "symbol" && token.text === ",")) return "";
    if (token.kind !== "word") this.#fail(token, "identifier");
    return this.#checkedValue(this.#take().text);
  }

  #integer(): string {
    const text = this.#value();
    if (!isInteger(text)) {
      throw new PodwireError("InvalidSelector", "for 'Gt', 'Lt' operators, the value must be an integer");
    }
    return text;
  }

  #set(): string[] {
    const open = this.#take();
    if (open.text !== "(") this.#fail(open, "'('");
    const values: string[] = [];
    let expectValue = true;
    for (;;) {
      const token = this.#take();
      if (token.kind === "word") {
        values.push(this.#checkedValue(token.text));
        expectValue = false;
      } else if (token.text === "," || token.text === ")") {
        if (expectValue) values.push("");
        if (token.text === ")") return [...new Set(values)].sort();
        expectValue = true;
      } else this.#fail(token, "',', ')' or identifier");
    }
  }

  #checkedValue(text: string): string {
    if (isLabelValue(text)) return text;
    throw new PodwireError("InvalidSelector", `unable to parse requirement: values[0]: Invalid value: "${text}"`);
  }

  #peek(): Token {
    return this.#tokens[this.#next] ?? { kind: "end", text: "" };
  }

  #take(): Token {
    const token = this.#peek();
    this.#next++;
    return token;
  }

  #fail(token: Token, expected: string): never {
    const message = `unable to parse requirement: found '${token.text}', expected: ${expected}`;
    throw new PodwireError("InvalidSelector", message, { selector: this.#text });
  }
}

/** `[prefix/]name`: a DNS subdomain and 63 characters of letters, digits, `-_.`, letters or digits at both ends. */
export function isLabelKey(key: string): boolean {
  const parts = key.split("/");
  const name = parts.at(-1) ?? "";
  if (parts.length > 2 || !/^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/.test(name)) return false;
  const prefix = parts.length === 2 ? (parts[0] ?? "") : undefined;
  return (
    prefix === undefined ||
    (prefix.length <= 253 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(prefix))
  );
}

/** Empty, or 63 characters of letters, digits, `-_.` with letters or digits at both ends. */
export function isLabelValue(value: string): boolean {
  return /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/.test(value);
}

function isInteger(text: string | undefined): text is string {
  return text !== undefined && /^[+-]?\d{1,19}$/.test(text);
}
