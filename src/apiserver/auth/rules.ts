import type { Attributes } from "./attributes.ts";

/** One rule of a role. */
export interface PolicyRule {
  readonly verbs?: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

/** Whether a rule allows what is wanted (apiserver pkg/apis/rbac/v1/evaluation_helpers.go). */
export function ruleAllows(rule: PolicyRule, wanted: Attributes): boolean {
  if (!includes(rule.verbs, wanted.verb)) return false;
  if (wanted.resource === "") return (rule.nonResourceURLs ?? []).some((url) => urlCovers(url, wanted.path));
  if (!includes(rule.apiGroups, wanted.group)) return false;
  const { resource, subresource } = wanted;
  const full = subresource ? `${resource}/${subresource}` : resource;
  if (!(rule.resources ?? []).some((r) => r === "*" || r === full || (subresource !== "" && r === `*/${subresource}`)))
    return false;
  return !rule.resourceNames?.length || rule.resourceNames.includes(wanted.name);
}

function includes(values: readonly string[] | undefined, value: string): boolean {
  return values?.includes("*") === true || values?.includes(value) === true;
}

function urlCovers(rule: string, path: string): boolean {
  if (rule === "*" || rule === path) return true;
  let end = rule.length;
  // An expression for stars at the end would begin anew at each star of a run in the middle.
  while (rule[end - 1] === "*") end--;
  return end < rule.length && path.startsWith(rule.slice(0, end));
}

/** So many combinations of groups, resources, verbs and names are compared one by one at most. */
const MAX_PARTS = 20_000;

/** So many missing parts are collected at most. */
const MAX_MISSING = 1000;

/** What a comparison of rules came to. */
export interface Missing {
  /** What is not held, taken apart to single verbs, groups, resources and names. */
  readonly parts: readonly PolicyRule[];
  /** There are more than these. */
  readonly more: boolean;
}

/** Rules have too many combinations to be compared: a few kilobytes of lists can multiply to billions. */
export class TooManyCombinations extends Error {
  constructor(count: number) {
    super(
      `the rules have ${count} combinations of apiGroups, resources, resourceNames, nonResourceURLs and verbs that no single rule of the user holds, more than the ${MAX_PARTS} that are compared: write them as several roles, or with "*"`,
    );
  }
}

/**
 * What of the wanted rules the held ones do not cover. Takes time in proportion to a bound, never to the product of a
 * rule's lists. Throws TooManyCombinations.
 */
export function missingRules(held: readonly PolicyRule[], wanted: readonly PolicyRule[]): Missing {
  const holders = held.map(holderOf);
  const open = wanted.map(distinct).filter((rule) => !holders.some((holder) => coversAll(holder, rule)));
  const count = open.reduce((sum, rule) => sum + combinations(rule), 0);
  if (count > MAX_PARTS) throw new TooManyCombinations(count);
  const parts: PolicyRule[] = [];
  for (const rule of open)
    for (const part of breakDown(rule)) {
      if (holders.some((holder) => coversAll(holder, part))) continue;
      if (parts.length === MAX_MISSING) return { parts, more: true };
      parts.push(part);
    }
  return { parts, more: false };
}

/** A rule with every value once. */
function distinct(rule: PolicyRule): PolicyRule {
  const once = Object.entries(rule).map(([field, values]) => [field, [...new Set(values)]]);
  return Object.fromEntries(once) as PolicyRule;
}

function combinations({ apiGroups, resources, resourceNames, nonResourceURLs, verbs }: PolicyRule): number {
  const size = (values: readonly string[] | undefined) => values?.length ?? 0;
  const objects = size(apiGroups) * size(resources) * (size(resourceNames) || 1);
  return (objects + size(nonResourceURLs)) * size(verbs);
}

/** The parts of a rule, one by one. */
function* breakDown(rule: PolicyRule): Generator<PolicyRule> {
  for (const verb of rule.verbs ?? []) {
    for (const group of rule.apiGroups ?? [])
      for (const resource of rule.resources ?? []) {
        const part = { apiGroups: [group], resources: [resource], verbs: [verb] };
        if (!rule.resourceNames?.length) yield part;
        else for (const name of rule.resourceNames) yield { ...part, resourceNames: [name] };
      }
    for (const url of rule.nonResourceURLs ?? []) yield { nonResourceURLs: [url], verbs: [verb] };
  }
}

/** A held rule, made to be asked often. */
interface Holder {
  readonly verbs: ReadonlySet<string>;
  readonly apiGroups: ReadonlySet<string>;
  readonly resources: ReadonlySet<string>;
  readonly resourceNames: ReadonlySet<string>;
  readonly nonResourceURLs: readonly string[];
}

function holderOf({ verbs, apiGroups, resources, resourceNames, nonResourceURLs = [] }: PolicyRule): Holder {
  return {
    verbs: new Set(verbs),
    apiGroups: new Set(apiGroups),
    resources: new Set(resources),
    resourceNames: new Set(resourceNames),
    nonResourceURLs,
  };
}

/** Whether one held rule covers all combinations of another (evaluation_helpers.go, ruleCovers). */
function coversAll(held: Holder, rule: PolicyRule): boolean {
  const all = (have: ReadonlySet<string>, want: readonly string[] = []) =>
    have.has("*") || want.every((value) => have.has(value));
  if (!all(held.verbs, rule.verbs)) return false;
  const urls = rule.nonResourceURLs ?? [];
  if (!urls.every((url) => held.nonResourceURLs.some((own) => urlCovers(own, url)))) return false;
  if (!rule.resources?.length || !rule.apiGroups?.length) return true;
  if (!all(held.apiGroups, rule.apiGroups)) return false;
  if (!rule.resources.every((resource) => holdsResource(held.resources, resource))) return false;
  if (held.resourceNames.size === 0) return true;
  const names = rule.resourceNames ?? [];
  return names.length > 0 && names.every((name) => held.resourceNames.has(name));
}

function holdsResource(held: ReadonlySet<string>, resource: string): boolean {
  if (held.has("*") || held.has(resource)) return true;
  const slash = resource.indexOf("/");
  return slash >= 0 && held.has(`*${resource.slice(slash)}`);
}

/** Puts parts that differ only by their verb together again (pkg/registry/rbac/validation/policy_compact.go). */
export function compactRules(rules: readonly PolicyRule[]): PolicyRule[] {
  const simple = new Map<string, PolicyRule>();
  const rest: PolicyRule[] = [];
  for (const rule of rules) {
    const { apiGroups = [], resources = [], resourceNames, nonResourceURLs, verbs = [] } = rule;
    if (apiGroups.length !== 1 || resources.length !== 1 || resourceNames?.length || nonResourceURLs?.length) {
      rest.push(rule);
      continue;
    }
    const key = `${apiGroups[0]}/${resources[0]}`;
    const known = simple.get(key)?.verbs ?? [];
    simple.set(key, { apiGroups, resources, verbs: [...known, ...verbs] });
  }
  return [...rest, ...simple.values()];
}

/** A rule as upstream's refusals show it: `{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}`. */
export function ruleText(rule: PolicyRule): string {
  const parts: [string, readonly string[] | undefined][] = [
    ["APIGroups", rule.apiGroups],
    ["Resources", rule.resources],
    ["NonResourceURLs", rule.nonResourceURLs],
    ["ResourceNames", rule.resourceNames],
    ["Verbs", rule.verbs],
  ];
  const shown = parts.filter(([, values]) => values?.length).map(([name, values]) => `${name}:${quoted(values ?? [])}`);
  return `{${shown.join(", ")}}`;
}

/** Texts as Go's %q prints a slice. */
export function quoted(values: readonly string[]): string {
  return `[${values.map((v) => JSON.stringify(v)).join(" ")}]`;
}
