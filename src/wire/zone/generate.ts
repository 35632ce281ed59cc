import { type Place, ZoneFileError } from "./errors.ts";
import type { Word } from "./lexer.ts";

/** Most lines of one $GENERATE (BIND and CoreDNS have the same bound). */
const maxLines = 65_536;

/**
 * The lines that `$GENERATE START-STOP[/STEP] LHS [TTL] [CLASS] TYPE RHS` stands for: `$` is the number, with
 * `${OFFSET[,WIDTH[,d|o|x|X]]}` moved and formatted, `$$` and `\$` a dollar sign (BIND's manual).
 * @param words those behind $GENERATE
 * @throws ZoneFileError
 */
export function* generatedLines(words: readonly Word[], at: Place): Generator<string> {
  const [range, ...parts] = words;
  const match = /^(\d{1,10})-(\d{1,10})(?:\/(\d{1,10}))?$/.exec(range?.text ?? "");
  if (!match || parts.length < 3) {
    throw new ZoneFileError(at, "bad $GENERATE; expected $GENERATE START-STOP[/STEP] OWNER [TTL] [CLASS] TYPE DATA");
  }
  const [start, stop, step] = [match[1], match[2], match[3] ?? "1"].map(Number) as [number, number, number];
  if (step < 1 || stop < start || (stop - start) / step >= maxLines) {
    throw new ZoneFileError(at, `bad $GENERATE range ${range?.text}; at most ${maxLines} lines`);
  }
  const template = parts.map(({ text, quoted }) => (quoted ? `"${text}"` : text)).join(" ");
  for (let number = start; number <= stop; number += step) yield substituted(template, number, at);
}

function substituted(template: string, number: number, at: Place): string {
  return template.replaceAll(/\\\$|\$\$|\$\{([^}]*)\}|\$/g, (all, modifier?: string) => {
    if (all === "\\$" || all === "$$") return "$";
    return modifier === undefined ? String(number) : modified(modifier, number, at);
  });
}

function modified(modifier: string, number: number, at: Place): string {
  const match = /^(-?\d{1,10})(?:,(\d{1,3}))?(?:,([doxX]))?$/.exec(modifier);
  const value = number + Number(match?.[1] ?? Number.NaN);
  const width = Number(match?.[2] ?? 0);
  if (!(value >= 0) || width > 255) throw new ZoneFileError(at, `bad modifier in $GENERATE: \${${modifier}}`);
  const base = match?.[3] ?? "d";
  const text = value.toString(base === "d" ? 10 : base === "o" ? 8 : 16).padStart(width, "0");
  return base === "X" ? text.toUpperCase() : text;
}
