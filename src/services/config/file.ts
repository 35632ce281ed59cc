import { isMap, isScalar, LineCounter, type Node, type Pair, parseDocument, type YAMLError, type YAMLMap } from "yaml";
import { type FieldPath, fieldPaths, ruleOf } from "./fields.ts";
import { type GivenConfig, ProxyConfigError, settleConfig } from "./settle.ts";
import { allowedWords, typedValue } from "./values.ts";

/** Group and version of the configuration. */
export const CONFIG_VERSION = "kubeproxy.config.k8s.io/v1alpha1";
/** Its kind. */
export const CONFIG_KIND = "KubeProxyConfiguration";

/** Fields that upstream took out, by the release that did. A file that still has them gets told. */
const removed: Readonly<Record<string, string>> = {
  resourceContainer: "removed in 1.16",
  "conntrack.max": "removed in 1.16; conntrack.maxPerCore and conntrack.min decide",
};

/** What a configuration file says. */
export interface ConfigFile {
  readonly given: GivenConfig;
  /** `file:line` of a field. */
  at(path: FieldPath): string;
}

/**
 * Reads a KubeProxyConfiguration, YAML or JSON; strict where upstream falls back to a lenient reading.
 * @param file its name, for messages
 * @throws ProxyConfigError naming file, line, field, what was found and what is allowed
 */
export function readConfigFile(text: string, file: string): ConfigFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const place = (node: unknown) => `${file}:${lines.linePos((node as Node | null)?.range?.[0] ?? 0).line}`;
  const [error] = document.errors;
  if (error) throw new ProxyConfigError(`${file}:${lines.linePos(error.pos[0]).line}: ${wordsOf(error)}`);
  const root = document.contents as unknown;
  if (!isMap(root)) throw new ProxyConfigError(`${file}: a ${CONFIG_KIND} is expected`);
  checkKind(root, file);
  const reader = new Reader(place);
  reader.map(root as YAMLMap, "");
  const at = (path: FieldPath) => reader.places.get(path) ?? file;
  // What is wrong in itself is said with its line, whatever else comes in by flags.
  settleConfig(reader.given, at);
  return { given: reader.given, at };
}

function wordsOf({ code, message }: YAMLError): string {
  if (code === "MULTIPLE_DOCS") return "found a second document; allowed is one";
  return message.split("\n")[0] ?? message;
}

function checkKind(root: YAMLMap, file: string): void {
  for (const [key, wanted] of [
    ["apiVersion", CONFIG_VERSION],
    ["kind", CONFIG_KIND],
  ] as const) {
    const found = root.get(key);
    if (found !== wanted)
      throw new ProxyConfigError(`${file}: ${key}: found ${JSON.stringify(found) ?? "nothing"}; allowed is ${wanted}`);
  }
}

class Reader {
  readonly given: Record<string, unknown> & GivenConfig = {};
  readonly places = new Map<string, string>();
  readonly #place: (node: unknown) => string;

  constructor(place: (node: unknown) => string) {
    this.#place = place;
  }

  map(map: YAMLMap, prefix: string): void {
    for (const pair of map.items as Pair<Node, Node | null>[]) {
      const key = isScalar(pair.key) ? String(pair.key.value) : "";
      if (prefix === "" && (key === "apiVersion" || key === "kind")) continue;
      this.#field(`${prefix}${key}`, pair);
    }
  }

  #field(path: string, { key, value }: Pair<Node, Node | null>): void {
    const position = this.#place(key);
    const rule = ruleOf(path);
    const isNull = value === null || (isScalar(value) && value.value === null);
    if (!rule) {
      if (!isSection(path)) throw new ProxyConfigError(`${position}: ${unknownWords(path)}`);
      if (isMap(value)) this.map(value as YAMLMap, `${path}.`);
      else if (!isNull) throw new ProxyConfigError(`${position}: ${path}: allowed is a map`);
      return;
    }
    this.places.set(path, position);
    // Go leaves a field as it was for null.
    if (isNull) return;
    const found = (value as Node & { toJSON(): unknown }).toJSON();
    const taken = typedValue(rule.type, found);
    if (taken === undefined)
      throw new ProxyConfigError(
        `${position}: ${path}: found ${JSON.stringify(found)}; allowed is ${allowedWords[rule.type]}`,
      );
    (this.given as Record<string, unknown>)[path] = taken;
  }
}

function isSection(path: string): boolean {
  return fieldPaths.some((known) => known.startsWith(`${path}.`));
}

function unknownWords(path: string): string {
  const why = removed[path];
  if (why !== undefined) return `unknown field ${JSON.stringify(path)}: ${why}`;
  const prefix = path.slice(0, path.lastIndexOf(".") + 1);
  const names = fieldPaths
    .filter((known) => known.startsWith(prefix))
    .map((known) => known.slice(prefix.length).split(".")[0] as string);
  return `unknown field ${JSON.stringify(path)}; allowed are ${[...new Set(names)].join(", ")}`;
}
