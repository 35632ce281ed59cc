import { Environment } from "@marcbachmann/cel-js";
import { compileRegExp } from "#base/goRegExp.ts";
import { compareQuantities, parseQuantity, type Quantity, scaledQuantity } from "#base/quantity.ts";
import { registerFormat } from "./format.ts";
import { registerNetwork } from "./network.ts";

/** What replaces `matches`, whose patterns are Go's. */
const goMatches = "podwireGoMatches";

/** Limits of one rule's text. */
const limits = { maxAstNodes: 20_000, maxDepth: 250, maxListElements: 2000, maxMapEntries: 2000, maxCallArguments: 32 };

/**
 * CEL as rules of definitions have it: `self`, `oldSelf`, optional types and those functions of Kubernetes' own
 * libraries (kubernetes.io/docs/reference/using-api/cel) that are implemented here.
 */
export function ruleEnvironment(): Environment {
  const patterns = new Map<string, RegExp>();
  const pattern = (text: string): RegExp => {
    let compiled = patterns.get(text);
    if (!compiled) {
      compiled = compileRegExp(text);
      // Patterns may come from objects: only so many are worth keeping.
      if (patterns.size < 256) patterns.set(text, compiled);
    }
    return compiled;
  };
  const environment = new Environment({ enableOptionalTypes: true, homogeneousAggregateLiterals: false, limits })
    .registerVariable("self", "dyn")
    .registerVariable("oldSelf", "dyn");
  registerTexts(environment, pattern);
  registerLists(environment);
  registerNetwork(environment);
  registerFormat(environment);
  registerQuantities(environment);
  return environment;
}

/** A rule's text with the replacements made; texts in quotes stay as they are. */
export function withReplacements(rule: string): string {
  return rule.replace(stringLiteral, (part) => (/^\.\s*matches\s*\($/.test(part) ? `.${goMatches}(` : part));
}

const stringLiteral =
  /[rRbB]{0,2}"""[\s\S]*?"""|[rRbB]{0,2}'''[\s\S]*?'''|[rR][bB]?"[^"\n]*"|[rR][bB]?'[^'\n]*'|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|\.\s*matches\s*\(/g;

/** A rule's text with blanks for texts in quotes; the rest stays where it is. */
export function withoutLiterals(rule: string): string {
  return rule.replace(stringLiteral, (part) => (part.startsWith(".") ? part : `"${" ".repeat(part.length - 2)}"`));
}

function registerTexts(environment: Environment, pattern: (text: string) => RegExp): void {
  environment
    .registerFunction(`string.${goMatches}(string): bool`, (text: string, by: string) => pattern(by).test(text))
    .registerFunction("string.find(string): string", (text: string, by: string) => pattern(by).exec(text)?.[0] ?? "")
    .registerFunction("string.findAll(string): list", (text: string, by: string) => findAll(text, pattern(by)))
    .registerFunction("string.findAll(string, int): list", (text: string, by: string, limit: bigint) => {
      const found = findAll(text, pattern(by));
      return limit < 0n ? found : found.slice(0, Number(limit));
    })
    .registerFunction("string.replace(string, string): string", (text: string, from: string, to: string) =>
      text.split(from).join(to),
    )
    .registerFunction("string.charAt(int): string", (text: string, at: bigint) => text.charAt(Number(at)));
}

function findAll(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(new RegExp(pattern.source, `${pattern.flags}g`))].map((match) => match[0]);
}

type Comparable = bigint | number | string;

function registerLists(environment: Environment): void {
  const extreme = (list: Comparable[], better: (a: Comparable, b: Comparable) => boolean): Comparable => {
    if (list.length === 0) throw new Error("min/max called on empty list");
    return list.reduce((a, b) => (better(b, a) ? b : a));
  };
  environment
    .registerFunction("list.isSorted(): bool", (list: Comparable[]) =>
      list.every((item, i) => i === 0 || (list[i - 1] as Comparable) <= item),
    )
    .registerFunction("list.sum(): dyn", (list: (bigint | number)[]) =>
      typeof list[0] === "number"
        ? (list as number[]).reduce((a, b) => a + b, 0)
        : (list as bigint[]).reduce((a, b) => a + b, 0n),
    )
    .registerFunction("list.min(): dyn", (list: Comparable[]) => extreme(list, (a, b) => a < b))
    .registerFunction("list.max(): dyn", (list: Comparable[]) => extreme(list, (a, b) => a > b))
    .registerFunction("list.indexOf(dyn): int", (list: unknown[], item: unknown) => BigInt(list.indexOf(item)))
    .registerFunction("list.lastIndexOf(dyn): int", (list: unknown[], item: unknown) => BigInt(list.lastIndexOf(item)));
}

/** A quantity in rules: a class of its own, by which CEL knows the type. */
class RuleQuantity {
  readonly amount: Quantity;

  constructor(text: string) {
    this.amount = parseQuantity(text);
  }
}

function isQuantity(text: string): boolean {
  try {
    parseQuantity(text);
    return true;
  } catch {
    return false;
  }
}

function registerQuantities(environment: Environment): void {
  const order = (a: RuleQuantity, b: RuleQuantity) => compareQuantities(a.amount, b.amount);
  environment
    .registerType("Quantity", RuleQuantity)
    .registerFunction("quantity(string): Quantity", (text: string) => new RuleQuantity(text))
    .registerFunction("isQuantity(string): bool", isQuantity)
    .registerFunction("Quantity.isGreaterThan(Quantity): bool", (a: RuleQuantity, b: RuleQuantity) => order(a, b) > 0)
    .registerFunction("Quantity.isLessThan(Quantity): bool", (a: RuleQuantity, b: RuleQuantity) => order(a, b) < 0)
    .registerFunction("Quantity.compareTo(Quantity): int", (a: RuleQuantity, b: RuleQuantity) => BigInt(order(a, b)))
    .registerFunction("Quantity.asInteger(): int", (a: RuleQuantity) => scaledQuantity(a.amount, 0));
}
