import { isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import { readJson } from "./go-json.ts";

/** A text that is no YAML; the message begins as Go's does. */
export class YamlError extends Error {}

/** A YAML value and what strict decoding holds against its text. */
export interface ReadYaml {
  readonly value: unknown;
  /** Go's one text for all keys that come twice, or nothing. */
  readonly faults: readonly string[];
}

/** Reads YAML, of which JSON is a part; of a key that comes twice the last value counts. Throws YamlError. */
export function readYaml(bytes: Buffer): ReadYaml {
  return jsonOf(bytes) ?? readDocument(bytes);
}

/** What is JSON without repeated keys is read as such: clients send it as YAML, and a reader of YAML takes long. */
function jsonOf(bytes: Buffer): ReadYaml | undefined {
  if (bytes[0] !== 0x7b) return undefined;
  try {
    const { value, duplicates } = readJson(bytes);
    return duplicates.length === 0 ? { value, faults: [] } : undefined;
  } catch {
    return undefined;
  }
}

function readDocument(bytes: Buffer): ReadYaml {
  const lines = new LineCounter();
  try {
    const document = parseDocument(bytes.toString("utf8"), { schema: "core", uniqueKeys: false, lineCounter: lines });
    const [problem] = document.errors;
    if (problem) {
      const line = problem.linePos?.[0].line;
      throw new YamlError(`yaml: ${line === undefined ? "" : `line ${line}: `}${problem.message.split("\n")[0]}`);
    }
    const repeated: string[] = [];
    findRepeated(document.contents, lines, repeated);
    const faults = repeated.length > 0 ? [`yaml: unmarshal errors:\n${repeated.join("\n")}`] : [];
    return { value: document.toJS({ maxAliasCount: 100 }) as unknown, faults };
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
