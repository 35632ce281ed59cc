import type { Environment } from "@marcbachmann/cel-js";

/** Longest text that format() makes, in characters: rules shall not make large ones out of small. */
const lengthLimit = 1 << 20;

/**
 * The function `format` of CEL's strings extension: `%s %d %f %e %b %o %x %X %%`, with a precision for `%f` and `%e`.
 * Source: github.com/google/cel-go/ext/formatting.go.
 */
export function registerFormat(environment: Environment): void {
  environment.registerFunction("string.format(list): string", (format: string, args: unknown[]) => {
    let next = 0;
    const text = format.replace(/%(?:%|(?:\.(\d+))?(.))/gs, (whole, precision: string | undefined, clause?: string) => {
      if (whole === "%%") return "%";
      if (next >= args.length) throw new Error(`index ${next} out of range`);
      return formatted(clause ?? "", args[next++], precision === undefined ? 6 : Math.min(100, Number(precision)));
    });
    if (text.length > lengthLimit) throw new Error("the text that format makes is too long");
    return text;
  });
}

function formatted(clause: string, value: unknown, precision: number): string {
  switch (clause) {
    case "s":
      return shown(value);
    case "d":
      if (typeof value === "bigint") return String(value);
      throw new Error("decimal clause can only be used on integers");
    case "f":
      return numberOf(value, "fixed-point").toFixed(precision);
    case "e":
      return numberOf(value, "scientific notation")
        .toExponential(precision)
        .replace(/e([+-])(\d)$/, "e$10$2");
    case "b":
      if (typeof value === "boolean") return value ? "1" : "0";
      return whole(value, "binary").toString(2);
    case "o":
      return whole(value, "octal").toString(8);
    case "x":
    case "X": {
      const text = typeof value === "string" ? Buffer.from(value).toString("hex") : whole(value, "hex").toString(16);
      return clause === "X" ? text.toUpperCase() : text;
    }
    default:
      throw new Error(`unrecognized formatting clause ${JSON.stringify(clause)}`);
  }
}

function numberOf(value: unknown, clause: string): number {
  if (typeof value === "number" || typeof value === "bigint") return Number(value);
  throw new Error(`${clause} clause can only be used on doubles and integers`);
}

function whole(value: unknown, clause: string): bigint {
  if (typeof value === "bigint") return value;
  throw new Error(`only integers can be formatted with the ${clause} clause`);
}

/** A value as `%s` shows it. */
function shown(value: unknown): string {
  if (value instanceof Date) return value.toISOString().replace(".000Z", "Z");
  if (Array.isArray(value)) return `[${value.map(shown).join(", ")}]`;
  if (value instanceof Map)
    return `{${[...value]
      .map(([key, item]) => `${shown(key)}: ${shown(item)}`)
      .sort()
      .join(", ")}}`;
  return String(value);
}
