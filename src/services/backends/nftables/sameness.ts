import { type Chain, type NftSet, partTypes, type Rule, ruleText, type TableState } from "#kernel/nft/index.ts";
import type { ChainContent } from "./treatment.ts";

/** Whether two chains have the same rules; handles, counters and origins are not compared. */
export function sameChain(a: ChainContent, b: ChainContent): boolean {
  return (
    a.rules.length === b.rules.length && a.rules.every((rule, i) => ruleText(rule) === ruleText(b.rules[i] as Rule))
  );
}

/** Whether the kernel's chain of that name, if there is one, is hooked in as wanted: a hook cannot be changed. */
export function hasWantedHook(wanted: Chain, state: TableState): boolean {
  const held = state.chains.find(({ name }) => name === wanted.name);
  if (!held) return true;
  const text = ({ hook }: Chain) =>
    hook ? `${hook.type} ${hook.hook} ${hook.priority} ${hook.policy ?? "accept"}` : "";
  return text(held) === text(wanted);
}

/** Whether the kernel has this set with these types. */
export function isAsWanted(wanted: NftSet, state: TableState): boolean {
  const held = state.sets.find(({ name }) => name === wanted.name);
  if (!held) return false;
  const types = (parts: NftSet["data"]) =>
    Array.isArray(parts)
      ? partTypes(parts as NftSet["key"])
          .map(({ name }) => name)
          .join(" . ")
      : (parts ?? "");
  return (
    types(held.key) === types(wanted.key) &&
    types(held.data) === types(wanted.data) &&
    Boolean(held.dynamic) === Boolean(wanted.dynamic) &&
    Boolean(held.timeout) === Boolean(wanted.timeout)
  );
}
