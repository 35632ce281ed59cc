import { type ASTNode, type Environment, Optional, ParseError, type ParseResult } from "@marcbachmann/cel-js";
import type { JsonSchema, ValidationRule } from "../model.ts";
import { children } from "../structural.ts";
import { ruleEnvironment, withoutLiterals, withReplacements } from "./environment.ts";

/** A rule ready to be evaluated. */
export interface CompiledRule {
  readonly rule: ValidationRule;
  /** Looks at oldSelf, so that there must be one. */
  readonly transition: boolean;
  /** How deep loops over lists and maps are nested. */
  readonly loops: number;
  evaluate(self: unknown, oldSelf: unknown): unknown;
  /** The text of messageExpression; undefined when there is none, or it makes none. */
  message(self: unknown, oldSelf: unknown): string | undefined;
}

/** The rules of a schema and of what is below it; undefined where there are none. */
export interface RuleTree {
  readonly schema: JsonSchema;
  readonly rules: readonly CompiledRule[];
  readonly properties: ReadonlyMap<string, RuleTree>;
  readonly additional?: RuleTree;
  readonly items?: RuleTree;
}

/** A rule that cannot be enforced. */
export interface RuleProblem {
  readonly where: string;
  readonly rule: string;
  readonly why: string;
  /** The rule is wrong in itself, and not only beyond what can be evaluated here; `why` is cel-go's text. */
  readonly wrong?: { readonly of: ValidationRule };
}

/** All rules of a schema, and which of them cannot be evaluated. */
export interface CompiledRules {
  readonly tree: RuleTree | undefined;
  readonly problems: readonly RuleProblem[];
  /** CEL's duration of a text; the text itself when it is none. */
  duration(text: string): unknown;
}

/** Compiles the x-kubernetes-validations of a schema. */
export function compileRules(schema: JsonSchema, path: string): CompiledRules {
  const compiler = new Compiler();
  const tree = compiler.tree(schema, path);
  return { tree, problems: compiler.problems, duration: (text) => compiler.duration(text) };
}

class Compiler {
  readonly problems: RuleProblem[] = [];
  #environment: Environment | undefined;
  #duration: ParseResult | undefined;

  /** Made for the first rule only: most schemas have none. */
  get #cel(): Environment {
    this.#environment ??= ruleEnvironment();
    return this.#environment;
  }

  duration(text: string): unknown {
    try {
      this.#duration ??= this.#cel.parse("duration(self)");
      return this.#duration({ self: text });
    } catch {
      return text;
    }
  }

  tree(schema: JsonSchema, path: string): RuleTree | undefined {
    const rules = (schema["x-kubernetes-validations"] ?? [])
      .map((rule, i) => this.#rule(rule, `${path}.x-kubernetes-validations[${i}]`))
      .filter((rule) => rule !== undefined);
    const properties = new Map<string, RuleTree>();
    let items: RuleTree | undefined;
    let additional: RuleTree | undefined;
    for (const [below, where] of children(schema, path)) {
      const tree = this.tree(below, where);
      if (!tree) continue;
      if (below === schema.items) items = tree;
      else if (below === schema.additionalProperties) additional = tree;
      else properties.set(where.slice(path.length + ".properties[".length, -1), tree);
    }
    if (rules.length === 0 && properties.size === 0 && !items && !additional) return undefined;
    return { schema, rules, properties, ...(items ? { items } : {}), ...(additional ? { additional } : {}) };
  }

  #rule(rule: ValidationRule, where: string): CompiledRule | undefined {
    const main = this.#parse(rule, rule.rule, `${where}.rule`, "bool");
    if (!main) return undefined;
    const text = rule.messageExpression
      ? this.#parse(rule, rule.messageExpression, `${where}.messageExpression`, "string")
      : undefined;
    const optional = rule.optionalOldSelf === true;
    const context = (self: unknown, oldSelf: unknown) => ({
      self,
      oldSelf: optional ? (oldSelf === undefined ? Optional.none() : Optional.of(oldSelf)) : oldSelf,
    });
    return {
      rule,
      transition: !optional && /\boldSelf\b/.test(withoutLiterals(rule.rule)),
      loops: loopDepth(main.ast),
      evaluate: (self, oldSelf) => main(context(self, oldSelf)),
      message: (self, oldSelf) => messageOf(text, context(self, oldSelf)),
    };
  }

  #parse(of: ValidationRule, expression: string, where: string, type: string): ParseResult | undefined {
    const fail = (why: string) => {
      this.problems.push({ where, rule: expression, why: why.split("\n")[0] ?? "" });
      return undefined;
    };
    const wrong = (why: string) => {
      this.problems.push({ where, rule: expression, why, wrong: { of } });
      return undefined;
    };
    try {
      const parsed = this.#cel.parse(withReplacements(expression));
      const checked = parsed.check();
      const mistake = checked.valid ? undefined : typeMistake(expression, checked.error);
      if (mistake !== undefined) return wrong(mistake);
      if (!checked.valid) return fail(checked.error?.message ?? "it has no valid type");
      if (checked.type !== type && checked.type !== "dyn") return wrong(wrongType[type] ?? "");
      return parsed;
    } catch (error) {
      const mistake = this.#syntaxMistake(expression);
      return mistake === undefined ? fail((error as Error).message) : wrong(mistake);
    }
  }

  /** What is wrong with a text that is no expression; undefined when it is one, within the limits. */
  #syntaxMistake(expression: string): string | undefined {
    try {
      this.#cel.parse(expression);
      return undefined;
    } catch (error) {
      if (!(error instanceof ParseError) || error.code === "limit_exceeded") return undefined;
      return compileText(expression, error.range?.start ?? 0, `Syntax error: ${error.summary}`);
    }
  }
}

/** What upstream says of an expression of another type than it has to be. */
const wrongType: Readonly<Record<string, string>> = {
  bool: "must evaluate to a bool",
  string: "must evaluate to a string",
};

/** What is wrong with the types of an expression, as far as it is surely wrong in every library. */
function typeMistake(expression: string, error: { code: string; summary: string } | undefined): string | undefined {
  if (error?.code !== "unknown_variable") return undefined;
  const name = /^Unknown variable: (\w+)$/.exec(error.summary)?.[1] ?? "";
  const at = Math.max(0, withoutLiterals(expression).search(new RegExp(`\\b${name}\\b`)));
  return compileText(expression, at, `undeclared reference to '${name}' (in container '')`);
}

/** An error in the form of cel-go: where it is, and the line with a mark below. */
function compileText(expression: string, at: number, what: string): string {
  const before = expression.slice(0, at).split("\n");
  const column = [...(before.at(-1) ?? "")].length;
  const line = expression.split("\n")[before.length - 1] ?? "";
  const mark = `${".".repeat(column)}^`;
  return `compilation failed: ERROR: <input>:${before.length}:${column + 1}: ${what}\n | ${line}\n | ${mark}`;
}

function messageOf(expression: ParseResult | undefined, context: Record<string, unknown>): string | undefined {
  try {
    const text = expression?.(context);
    return typeof text === "string" && text.trim() !== "" && !text.includes("\n") ? text.trim() : undefined;
  } catch {
    return undefined;
  }
}

const loopNames = new Set(["all", "exists", "exists_one", "existsOne", "map", "filter"]);

/** How deep macros that go over lists are nested: what a rule costs grows with the length to that power. */
function loopDepth(node: unknown): number {
  if (Array.isArray(node)) return node.reduce((most: number, one) => Math.max(most, loopDepth(one)), 0);
  if (typeof node !== "object" || node === null || !("op" in node)) return 0;
  const { op, args } = node as ASTNode;
  const below = Array.isArray(args) ? loopDepth(args) : loopDepth(args as unknown);
  return op === "rcall" && Array.isArray(args) && loopNames.has(String(args[0])) ? below + 1 : below;
}
