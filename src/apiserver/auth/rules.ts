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
  return rule === "*" || rule === path || (rule.endsWith("*") && path.startsWith(rule.replace(/\*+$/, "")));
}

/** What of the wanted rules the held ones do not cover, taken apart to single verbs, groups, resources and names. */
export function missingRules(held: readonly PolicyRule[], wanted: readonly PolicyRule[]): PolicyRule[] {
  return wanted.flatMap(breakDown).filter((part) => !held.some((rule) => covers(rule, part)));
}

function breakDown(rule: PolicyRule): PolicyRule[] {
  const parts: PolicyRule[] = [];
  for (const group of rule.apiGroups ?? [])
    for (const resource of rule.resources ?? [])
      for (const verb of rule.verbs ?? []) {
        const part = { apiGroups: [group], resources: [resource], verbs: [verb] };
        if (!rule.resourceNames?.length) parts.push(part);
        else for (const name of rule.resourceNames) parts.push({ ...part, resourceNames: [name] });
      }
  for (const url of rule.nonResourceURLs ?? [])
    for (const verb of rule.verbs ?? []) parts.push({ nonResourceURLs: [url], verbs: [verb] });
  return parts;
}

/** Whether a held rule covers a part with one entry of each. */
function covers(held: PolicyRule, part: PolicyRule): boolean {
  if (!includes(held.verbs, part.verbs?.[0] as string)) return false;
  const url = part.nonResourceURLs?.[0];
  if (url !== undefined) return (held.nonResourceURLs ?? []).some((rule) => urlCovers(rule, url));
  if (!includes(held.apiGroups, part.apiGroups?.[0] as string)) return false;
  const resource = part.resources?.[0] as string;
  const slash = resource.indexOf("/");
  const resources = held.resources ?? [];
  const found =
    resources.includes("*") ||
    resources.includes(resource) ||
    (slash >= 0 && resources.includes(`*${resource.slice(slash)}`));
  if (!found) return false;
  const name = part.resourceNames?.[0];
  return !held.resourceNames?.length || (name !== undefined && held.resourceNames.includes(name));
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
