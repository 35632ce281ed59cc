import { errorMessage } from "#base/errors.ts";
import { CNI_ERROR, CniError } from "../errors.ts";

/** JSON as it comes out of a file. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
/** A JSON object. */
export interface JsonObject {
  readonly [key: string]: Json;
}

/** Whether a value is a JSON object. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What people write into JSON files that JSON does not have: how it begins, and what to do instead. */
const mistakes: readonly (readonly [RegExp, string])[] = [
  [/^\/\/|^\/\*/, "a comment; JSON has none, remove it"],
  [/^#/, "a comment; JSON has none, remove it"],
  [/^[\u201c\u201d\u201e\u201f]/, 'a curly quote; write a straight one (")'],
  [/^[\u2018\u2019']/, 'a single quote; JSON text stands in straight double quotes (")'],
  [/^,\s*[}\]]/, "a comma before the closing bracket; remove it"],
  [/^\u00a0/, "a no-break space; write an ordinary one"],
];

/**
 * Parses a configuration file.
 * @param file its name for errors
 * @throws CniError DECODE_FAILURE naming file, line and mistake
 */
export function parseConfigJson(text: string, file: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const mistake = findMistake(text);
    const place = mistake ? `${file}:${mistake.line}: ${mistake.what}` : `${file}: ${errorMessage(error)}`;
    throw new CniError(CNI_ERROR.DECODE_FAILURE, `error parsing configuration: ${place}`, "", error);
  }
  if (!isObject(value))
    throw new CniError(CNI_ERROR.DECODE_FAILURE, `error parsing configuration: ${file}:1: not a JSON object`);
  return value;
}

/** The first known mistake outside of strings, with its line from 1. */
function findMistake(text: string): { line: number; what: string } | undefined {
  let line = 1;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === "\n") line++;
    else if (char === '"') {
      const end = stringEnd(text, at);
      if (end === undefined) return { line, what: "text without its closing quote on the same line" };
      at = end;
    } else {
      const found = mistakes.find(([pattern]) => pattern.test(text.slice(at, at + 200)));
      if (found) return { line, what: found[1] };
    }
  }
  return undefined;
}

/** Position of the quote that closes the string opened at `at`, undefined when the line ends first. */
function stringEnd(text: string, at: number): number | undefined {
  for (let i = at + 1; i < text.length && text[i] !== "\n"; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === '"') return i;
  }
  return undefined;
}
