import { errorMessage } from "#base/errors.ts";
import { equalJson } from "#base/json.ts";
import type { FieldErrors } from "../../errors.ts";
import { isDict } from "../../object.ts";
import { parseJsonPath } from "../jsonpath.ts";
import { correlate, itemKey } from "../validate.ts";
import type { CompiledRule, CompiledRules, RuleTree } from "./rules.ts";
import { celObject, celValue } from "./values.ts";

/** Rules of one object may take this long together, in milliseconds. */
const budgetMs = 1000;

/** A rule may go over its value in this many steps, by its nested loops. */
const stepLimit = 20_000_000;

/** Evaluates an object's rules with upstream's wording (apiextensions-apiserver pkg/apiserver/schema/cel). */
export class RuleEvaluation {
  readonly #compiled: CompiledRules;
  readonly #errors: FieldErrors;
  readonly #until: number;
  #spent = false;

  constructor(compiled: CompiledRules, errors: FieldErrors) {
    this.#compiled = compiled;
    this.#errors = errors;
    this.#until = performance.now() + budgetMs;
  }

  /** Evaluates the rules of a whole object; `old` is undefined at creation. */
  object(value: unknown, old: unknown): void {
    const { tree } = this.#compiled;
    if (tree) this.#tree(tree, value, old, "");
  }

  #tree(tree: RuleTree, value: unknown, old: unknown, path: string): void {
    if (value === undefined || value === null || this.#spent) return;
    if (tree.rules.length > 0) this.#rules(tree, value, old, path);
    if (Array.isArray(value)) {
      const { items } = tree;
      const before = items && correlate(tree.schema, old);
      if (items)
        value.forEach((item, i) => {
          this.#tree(items, item, before?.get(itemKey(tree.schema, item)), `${path}[${i}]`);
        });
      return;
    }
    if (!isDict(value)) return;
    const before = isDict(old) ? old : {};
    for (const key in value) {
      const below = tree.properties.get(key) ?? tree.additional;
      if (below)
        this.#tree(
          below,
          value[key],
          Object.hasOwn(before, key) ? before[key] : undefined,
          path ? `${path}.${key}` : key,
        );
    }
  }

  #rules(tree: RuleTree, value: unknown, old: unknown, path: string): void {
    const { duration } = this.#compiled;
    const make = path === "" ? celObject : celValue;
    const self = make(tree.schema, value, duration);
    const oldSelf = old === undefined || old === null ? undefined : make(tree.schema, old, duration);
    const same = oldSelf !== undefined && equalJson(value, old);
    const size = tree.rules.some((r) => r.loops > 1) ? sizeOf(value) : 1;
    for (const rule of tree.rules) {
      // Without an old value there is no transition; what has not changed is not held against a change elsewhere.
      if (rule.transition ? oldSelf === undefined : same) continue;
      if (performance.now() > this.#until || size ** rule.loops > stepLimit) {
        this.#spent = true;
        this.#fail(
          rule,
          tree,
          path,
          "validation failed due to running out of cost budget, no further validation rules will be run",
        );
        return;
      }
      this.#rule(rule, tree, path, self, oldSelf);
    }
  }

  #rule(rule: CompiledRule, tree: RuleTree, path: string, self: unknown, oldSelf: unknown): void {
    try {
      if (rule.evaluate(self, oldSelf) === true) return;
    } catch (error) {
      const why = errorMessage(error).split("\n")[0] ?? "";
      this.#fail(rule, tree, path, `${lowerFirst(why)} evaluating rule: ${textOf(rule)}`);
      return;
    }
    this.#fail(rule, tree, path, rule.message(self, oldSelf) ?? textOf(rule));
  }

  #fail({ rule }: CompiledRule, tree: RuleTree, path: string, detail: string): void {
    const field = fieldOf(path, rule.fieldPath) || "<nil>";
    const type = tree.schema.type ?? "";
    switch (rule.reason) {
      case "FieldValueForbidden":
        return this.#errors.forbidden(field, detail);
      case "FieldValueRequired":
        return this.#errors.required(field, detail);
      case "FieldValueDuplicate":
        return this.#errors.duplicate(field, type);
      default:
        return this.#errors.invalid(field, type, detail);
    }
  }
}

/** The message, or else the rule. */
function textOf({ rule }: CompiledRule): string {
  return rule.message?.trim() || `failed rule: ${rule.rule.trim()}`;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

/** A rule's own path below the value that it is about. */
function fieldOf(path: string, below: string | undefined): string {
  if (!below) return path;
  const names = parseJsonPath(below).fields ?? [];
  return [path, ...names].filter(Boolean).join(".");
}

/** How many values there are inside of a value. */
function sizeOf(value: unknown): number {
  if (Array.isArray(value)) return value.reduce((sum: number, item) => sum + sizeOf(item), 1);
  if (!isDict(value)) return 1;
  let sum = 1;
  for (const key in value) sum += sizeOf(value[key]);
  return sum;
}
