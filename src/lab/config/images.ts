import { isMap, isScalar, isSeq, type Node, type Pair } from "yaml";
import { refuse } from "./checks.ts";

type Position = (node: unknown) => string;

/** A registry as it stands in names of images: `host` or `host:port`. */
const REGISTRY = /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::\d{1,5})?$/;
/** Where a mirror is: a registry, or an URL, with a path if it has one. */
const MIRROR = /^https?:\/\/[^/\s?#@]+(?:\/[^\s?#]*)?$/;
const KEYS = ["strict", "mirrors", "insecure", "templates"];

/**
 * Checks the section `images`: the word `strict`, or a map.
 * @param at file and line of a part of the document
 * @throws PodwireError "InvalidConfig"
 */
export function checkImages(node: unknown, at: Position): void {
  if (node === undefined || (isScalar(node) && node.value === "strict")) return;
  if (!isMap(node)) throw refuse(`${at(node)}: images: allowed is strict, or a map of ${KEYS.join(", ")}`, "images");
  for (const { key, value } of node.items as Pair<Node, Node | null>[]) {
    const name = isScalar(key) ? String(key.value) : "";
    if (!KEYS.includes(name))
      throw refuse(`${at(key)}: images: unknown key "${name}"; allowed are ${KEYS.join(", ")}`, "images");
    if (name === "strict") checkStrict(value, at);
    else if (name === "insecure") checkList(value, "images.insecure", at, isRegistry);
    else checkTable(name, value, at);
  }
}

function checkStrict(value: Node | null, at: Position): void {
  if (!isScalar(value) || typeof value.value !== "boolean")
    throw refuse(`${at(value)}: images.strict: allowed is true or false`, "images");
}

/** A map of lists: mirrors by registry, names by template. */
function checkTable(name: string, value: Node | null, at: Position): void {
  if (!isMap(value)) throw refuse(`${at(value)}: images.${name}: allowed is a map of lists`, "images");
  for (const pair of value.items as Pair<Node, Node | null>[]) {
    const key = isScalar(pair.key) ? String(pair.key.value) : "";
    const field = `images.${name}.${key}`;
    if (name === "mirrors" && key !== "*" && !REGISTRY.test(key))
      throw refuse(`${at(pair.key)}: ${field}: "${key}" is no registry such as docker.io or localhost:5000`, "images");
    checkList(pair.value, field, at, name === "mirrors" ? isMirror : isText);
  }
}

const isText = (text: string) => (text === "" ? "a name" : undefined);
const isRegistry = (text: string) => (REGISTRY.test(text) ? undefined : "a registry such as localhost:5000");
const isMirror = (text: string) =>
  REGISTRY.test(text) || MIRROR.test(text) ? undefined : "a registry, or an URL such as http://127.0.0.1:5000";

/** @param problem what is allowed instead of a text */
function checkList(
  value: Node | null,
  field: string,
  at: Position,
  problem: (text: string) => string | undefined,
): void {
  if (!isSeq(value)) throw refuse(`${at(value)}: ${field}: allowed is a list`, "images");
  for (const item of value.items) {
    const text = isScalar(item) && typeof item.value === "string" ? item.value : "";
    const allowed = problem(text);
    if (allowed) throw refuse(`${at(item)}: ${field}: found ${JSON.stringify(text)}; allowed is ${allowed}`, "images");
  }
}
