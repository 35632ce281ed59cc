import { NftError } from "./errors.ts";
import { type Chain, type Element, type NftSet, partTypes, type Rule, type Statement, type Table } from "./model.ts";
import { elementKeyText, tableText } from "./text.ts";
import { type Operation, operationText } from "./transaction.ts";

/** A table in memory. */
export interface FakeTable {
  readonly table: Table;
  readonly chains: Map<string, { chain: Chain; rules: Rule[] }>;
  readonly sets: Map<string, { set: NftSet; elements: Map<string, Element> }>;
}

/** The table that an operation is about. */
export function tableOf(operation: Operation): Table {
  if ("table" in operation) return operation.table;
  if ("chain" in operation) return operation.chain.table;
  return "rule" in operation ? operation.rule.chain.table : operation.set.table;
}

/** A copy that may be changed without changing the first. */
export function copy(tables: ReadonlyMap<string, FakeTable>): Map<string, FakeTable> {
  return new Map(
    [...tables].map(([name, { table, chains, sets }]) => [
      name,
      {
        table,
        chains: new Map([...chains].map(([key, { chain, rules }]) => [key, { chain, rules: [...rules] }])),
        sets: new Map([...sets].map(([key, { set, elements }]) => [key, { set, elements: new Map(elements) }])),
      },
    ]),
  );
}

/** Types of data as the kernel gives them back. */
export function plainData(set: NftSet): Pick<NftSet, "data"> {
  if (set.data === undefined) return {};
  return { data: set.data === "verdict" ? "verdict" : partTypes(set.data) };
}

/** A chain as the kernel lists it. */
export function withPolicy(chain: Chain): Chain {
  return chain.hook
    ? {
        ...chain,
        hook: { ...chain.hook, policy: chain.hook.policy ?? "accept" },
      }
    : chain;
}

/** The kernel keeps no origins. */
export function withoutOrigin({ origin: _, ...element }: Element): Element {
  return element;
}

/** Name of the set that a statement uses. */
export function setOf(statement: Statement): string | undefined {
  switch (statement.kind) {
    case "lookup":
    case "setOperation":
      return statement.set;
    case "vmap":
      return statement.map;
    case "nat":
      return statement.to.kind === "map" ? statement.to.map : undefined;
    case "assign":
      return statement.value.kind === "map" ? statement.value.map : undefined;
    default:
      return undefined;
  }
}

/** Chain that a statement jumps to. */
export function targetOf(statement: Statement): string | undefined {
  return statement.kind === "verdict" && "chain" in statement.verdict ? statement.verdict.chain : undefined;
}

/** @throws NftError always */
export function refuse(operation: Operation, code: string, element?: Element): never {
  const what =
    "elements" in operation && element
      ? `${operation.kind} ${tableText(operation.set.table)} ${operation.set.name} { ${elementKeyText(operation.set, element.key)} }`
      : operationText(operation);
  throw new NftError(what, {
    code,
    reason: "",
    operation,
    committedSends: 0,
    ...(element && { element }),
  });
}
