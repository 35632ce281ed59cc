import { isMap, isScalar, LineCounter, type Node, type Pair, parseDocument, type YAMLMap } from "yaml";
import { PodwireError } from "#base/errors.ts";
import { refuse } from "./checks.ts";
import { checkImages } from "./images.ts";
import { type ClusterInput, labProxyModes } from "./model.ts";

/** Keys of a configuration file and the type of each. */
const KEYS: Readonly<Record<string, "string" | "number" | "boolean" | "nodes" | "images" | readonly string[]>> = {
  name: "string",
  nodes: "nodes",
  podCidr: "string",
  serviceCidr: "string",
  nodeCidr: "string",
  nodeCidrMaskSizeIpv4: "number",
  nodeCidrMaskSizeIpv6: "number",
  maxPods: "number",
  clusterDomain: "string",
  ingress: ["nginx", "none"],
  example: ["online-store", "none"],
  outside: ["on", "off"],
  pods: "number",
  runtime: ["podwire", "crun"],
  privileged: "boolean",
  proxyMode: labProxyModes,
  images: "images",
  apiPort: "number",
  ingressPort: "number",
};
const NODE_KEYS: Readonly<Record<string, "string" | readonly string[]>> = {
  name: "string",
  address: "string",
  role: ["control-plane", "worker"],
};

/**
 * Reads a cluster's configuration file (YAML).
 * @param text the file's content
 * @param file its name, for messages
 * @throws PodwireError "InvalidConfig" with `file:line`, what was found and what is allowed
 */
export function parseConfigFile(text: string, file: string): ClusterInput {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const at = (node: unknown): string => {
    const offset = (node as Node | null)?.range?.[0] ?? 0;
    return `${file}:${lines.linePos(offset).line}`;
  };
  const error = document.errors[0];
  if (error) throw refuse(`${file}:${lines.linePos(error.pos[0]).line}: ${error.message.split("\n")[0]}`);
  const root = document.contents;
  if (root === null) return {};
  if (!isMap(root)) throw refuse(`${at(root)}: a configuration is a map of ${Object.keys(KEYS).join(", ")}`);
  checkMap(root, KEYS, at);
  checkNodes(root, at);
  checkImages(root.get("images", true), at);
  return document.toJS() as ClusterInput;
}

/**
 * The refusal of a configuration with the place in the file of what it is about: of the first key in question that
 * the file has and no flag replaced.
 * @param text the file's content, which could be read
 * @param flags keys given by flags
 */
export function explainWithFile(error: unknown, text: string, file: string, flags: readonly string[]): unknown {
  if (!(error instanceof PodwireError) || error.code !== "InvalidConfig") return error;
  const lines = new LineCounter();
  const root = parseDocument(text, { lineCounter: lines }).contents;
  if (!isMap(root)) return error;
  const fields = (error.data["fields"] ?? []) as readonly string[];
  for (const field of fields.filter((name) => !flags.includes(name))) {
    const pair = (root.items as Pair<Node, Node | null>[]).find(({ key }) => isScalar(key) && key.value === field);
    if (pair) return refuse(`${file}:${lines.linePos(pair.key.range?.[0] ?? 0).line}: ${error.message}`, ...fields);
  }
  return error;
}

type Position = (node: unknown) => string;

function checkMap(map: YAMLMap, keys: Readonly<Record<string, string | readonly string[]>>, at: Position): void {
  for (const pair of map.items as Pair<Node, Node | null>[]) {
    const key = isScalar(pair.key) ? String(pair.key.value) : "";
    const allowed = keys[key];
    if (allowed === undefined)
      throw refuse(`${at(pair.key)}: unknown key "${key}"; allowed are ${Object.keys(keys).join(", ")}`);
    checkValue(key, pair.value, allowed, at(pair.value ?? pair.key));
  }
}

function checkValue(key: string, node: Node | null, allowed: string | readonly string[], position: string): void {
  if (allowed === "nodes" || allowed === "images") return;
  const value = isScalar(node) ? node.value : undefined;
  if (typeof allowed !== "string") {
    if (!allowed.includes(value as string))
      throw refuse(`${position}: ${key}: found ${shown(value)}; allowed are ${allowed.join(", ")}`);
  } else if (typeof value !== allowed) {
    throw refuse(`${position}: ${key}: found ${shown(value)}; allowed is a ${allowed}`);
  }
}

function shown(value: unknown): string {
  return value === undefined ? "a list or map" : JSON.stringify(value);
}

/** `nodes` is a number, or a list of maps with a name each; a name given twice is refused here, with both lines. */
function checkNodes(root: YAMLMap, at: Position): void {
  const nodes = root.get("nodes", true) as unknown;
  if (nodes === undefined || (isScalar(nodes) && typeof nodes.value === "number")) return;
  const items = (nodes as { items?: unknown[] }).items;
  if (!items) throw refuse(`${at(nodes)}: nodes: allowed is a number or a list of {name, role, address}`);
  const seen = new Map<string, string>();
  for (const item of items) {
    if (!isMap(item)) throw refuse(`${at(item)}: nodes: allowed is a list of {name, role, address}`);
    checkMap(item, NODE_KEYS, at);
    const name = item.get("name");
    if (typeof name !== "string") throw refuse(`${at(item)}: nodes: a node needs a name`);
    const before = seen.get(name);
    if (before) throw refuse(`${at(item)}: node "${name}" is already defined at ${before}; node names must be unique`);
    seen.set(name, at(item));
  }
}
