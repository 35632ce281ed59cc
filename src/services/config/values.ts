import { parseGoDuration } from "#base/goDuration.ts";
import type { FieldType } from "./fields.ts";

/** What each type allows, for messages. */
export const allowedWords: Readonly<Record<FieldType, string>> = {
  string: "a string",
  bool: "true or false",
  int: "a whole number",
  number: "a number",
  duration: "a duration such as 30s or 1h30m",
  strings: "a list of strings",
  gates: "a map of names to true or false",
  any: "anything",
};

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A value of a file as the configuration holds it; undefined when it is not of the type. */
export function typedValue(type: FieldType, value: unknown): unknown {
  switch (type) {
    case "duration":
      return typeof value === "string" ? parseGoDuration(value) : undefined;
    case "int":
      return Number.isSafeInteger(value) ? value : undefined;
    case "strings":
      return Array.isArray(value) && value.every((item) => typeof item === "string") ? value : undefined;
    case "gates":
      return isObject(value) && Object.values(value).every((item) => typeof item === "boolean") ? value : undefined;
    case "any":
      return value;
    default:
      return typeof value === (type === "bool" ? "boolean" : type) ? value : undefined;
  }
}

/** Go's words for true and false (strconv.ParseBool). */
const booleans = new Map([
  ...["1", "t", "T", "TRUE", "true", "True"].map((word) => [word, true] as const),
  ...["0", "f", "F", "FALSE", "false", "False"].map((word) => [word, false] as const),
]);

/** A flag's text as the configuration holds it; undefined when it is not of the type. */
export function valueOfText(type: FieldType, text: string): unknown {
  switch (type) {
    case "bool":
      return booleans.get(text);
    case "int":
      return /^-?\d{1,15}$/.test(text) ? Number(text) : undefined;
    case "number":
      return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : undefined;
    case "duration":
      return parseGoDuration(text);
    case "strings":
      return text === "" ? [] : text.split(",").map((part) => part.trim());
    case "gates":
      return gatesOf(text);
    default:
      return text;
  }
}

function gatesOf(text: string): Record<string, boolean> | undefined {
  const gates: Record<string, boolean> = {};
  for (const pair of text.split(",").filter(Boolean)) {
    const [, name, word = ""] = /^\s*([^=\s]+)=(\w+)\s*$/.exec(pair) ?? [];
    const value = booleans.get(word);
    if (name === undefined || value === undefined) return undefined;
    gates[name] = value;
  }
  return gates;
}
