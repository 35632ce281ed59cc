import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from "yaml";

/** A text that is no YAML; the message begins as Go's does. */
export class YamlError extends Error {}

/** A document as JSON, and what strict decoding holds against its text. */
export interface YamlDocument {
  readonly json: string;
  /** Go's one text for all keys that come twice, or nothing. */
  readonly faults: readonly string[];
}

/** So many characters the values that aliases stand for may come to: what a body without aliases could say. */
const ALIASED_LENGTH = 3 << 20;

/**
 * Reads one document of YAML; of a key that comes twice the last value counts. Takes a time that is not bounded by its
 * length. Throws YamlError.
 */
export function readDocument(text: string): YamlDocument {
  const lines = new LineCounter();
  try {
    const document = parseDocument(text, { schema: "core", uniqueKeys: false, lineCounter: lines });
    const [problem] = document.errors;
    if (problem) {
      const line = problem.linePos?.[0].line;
      throw new YamlError(`yaml: ${line === undefined ? "" : `line ${line}: `}${problem.message.split("\n")[0]}`);
    }
    const repeated: string[] = [];
    findRepeated(document.contents, lines, repeated);
    const faults = repeated.length > 0 ? [`yaml: unmarshal errors:\n${repeated.join("\n")}`] : [];
    // The library counts how often a value is repeated, not how long it is.
    const value = document.toJS({ maxAliasCount: 100 }) as unknown;
    if (hasAliases(document)) checkLength(value, { left: ALIASED_LENGTH });
    return { json: JSON.stringify(value ?? null, refuseNonFinite), faults };
  } catch (error) {
    if (error instanceof YamlError) throw error;
    // Too many aliases, or nested deeper than the stack goes.
    throw new YamlError(`yaml: ${(error as Error).message}`);
  }
}

function findRepeated(node: unknown, lines: LineCounter, out: string[]): void {
  if (isSeq(node)) for (const item of node.items) findRepeated(item, lines, out);
  if (!isMap(node)) return;
  const seen = new Set<unknown>();
  for (const { key, value } of node.items) {
    const name = isScalar(key) ? key.value : undefined;
    if (name !== undefined && seen.has(name)) {
      const line = lines.linePos((key as { range?: [number, number, number] }).range?.[0] ?? 0).line;
      out.push(`  line ${line}: key ${JSON.stringify(name)} already set in map`);
    }
    seen.add(name);
    findRepeated(value, lines, out);
  }
}

function hasAliases(document: Document.Parsed): boolean {
  let found = false;
  visit(document, (_, node) => {
    if (!isAlias(node)) return undefined;
    found = true;
    return visit.BREAK;
  });
  return found;
}

/** Walks a value as if it were written out. Throws when it is longer than that. */
function checkLength(value: unknown, room: { left: number }): void {
  room.left -= typeof value === "string" ? value.length + 2 : 2;
  if (room.left < 0) throw new YamlError("yaml: document contains excessive aliasing");
  if (Array.isArray(value)) for (const item of value) checkLength(item, room);
  else if (typeof value === "object" && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      room.left -= key.length + 2;
      checkLength(item, room);
    }
  }
}

function refuseNonFinite(_key: string, value: unknown): unknown {
  if (typeof value !== "number" || Number.isFinite(value)) return value;
  const name = Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
  throw new YamlError(`json: unsupported value: ${name}`);
}
