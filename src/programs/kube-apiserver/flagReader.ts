import { type FlagRule, refused, sections, withoutEffect } from "./flagTable.ts";
import { helpText, versionText } from "./help.ts";

/** A command line that is not understood; or, with code 0, one that asked for the help or the version. */
export class FlagError extends Error {
  readonly code: number;

  constructor(message: string, code = 1) {
    super(message);
    this.code = code;
  }
}

const rules = new Map<string, FlagRule>(Object.values(sections).flatMap((section) => Object.entries(section)));

/** Go's durations: `1h30m`, `90s`. */
const durationUnits: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 0.001 };

/** The flags of a command line, as Go's pflag reads them: `--name=value`, `--name value`, a bare `--bool`. */
export class FlagReader {
  readonly #values = new Map<string, string[]>();
  /** Flags that were given and change nothing: `--name: reason`. */
  readonly ignored: string[] = [];

  /** @throws FlagError */
  constructor(argv: readonly string[]) {
    for (let i = 0; i < argv.length; i++) {
      const word = argv[i] as string;
      const [, name = "", inline] = /^--?([a-zA-Z][\w-]*)(?:=([\s\S]*))?$/.exec(word) ?? [];
      if (name === "help" || name === "h") throw new FlagError(helpText(), 0);
      if (name === "version") throw new FlagError(versionText(), 0);
      if (name === "") throw new FlagError(`unknown argument: ${word}`);
      const next = argv[i + 1];
      const bare = inline === undefined && (isBool(name) || next === undefined || next.startsWith("--"));
      if (bare && !isBool(name) && rules.has(name)) throw new FlagError(`flag needs an argument: --${name}`);
      if (inline === undefined && !bare) i++;
      this.#take(name, inline ?? (bare ? "true" : (next as string)));
    }
  }

  #take(name: string, value: string): void {
    const reason = refused[name];
    if (reason !== undefined) throw new FlagError(`--${name}: ${reason}`);
    const none = withoutEffect[name];
    if (none !== undefined) {
      this.ignored.push(`--${name}: ${none}`);
      return;
    }
    const rule = rules.get(name);
    if (!rule) throw new FlagError(`unknown flag: --${name}\nSee 'kube-apiserver --help'.`);
    this.#check(name, rule, value);
    const many = rule.type === "list" || rule.type === "files";
    this.#values.set(name, many ? [...(this.#values.get(name) ?? []), value] : [value]);
  }

  #check(name: string, { type }: FlagRule, value: string): void {
    const wrong = (words: string) => this.error(name, `"${value}"; ${words}`);
    if (type === "bool" && value !== "true" && value !== "false") throw wrong("allowed are true and false");
    const port = /^\d+$/.test(value) ? Number(value) : 0;
    if (type === "port" && (port < 1 || port > 65_535))
      throw new FlagError(`--${name} ${value} must be between 1 and 65535, inclusive. It cannot be turned off with 0`);
    if (type === "number" && !/^\d+$/.test(value)) throw wrong("allowed is a whole number");
    if (type === "seconds" && secondsOf(value) === undefined) throw wrong("allowed is a duration, such as 1h30m");
  }

  /** What is wrong with a flag's value. */
  error(name: string, words: string): FlagError {
    return new FlagError(`invalid argument for --${name}: ${words}`);
  }

  /** The value of a flag; undefined when it was not given, or is empty. */
  text(name: string): string | undefined {
    return this.#values.get(name)?.at(-1) || undefined;
  }

  bool(name: string): boolean | undefined {
    const value = this.text(name);
    return value === undefined ? undefined : value === "true";
  }

  /** A number, port or duration in seconds. */
  number(name: string): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    return rules.get(name)?.type === "seconds" ? secondsOf(value) : Number(value);
  }

  /** All values of a flag that may come more than once. */
  list(name: string): string[] {
    const values = this.#values.get(name) ?? [];
    if (rules.get(name)?.type === "files") return values;
    return values.flatMap((value) => value.split(",").map((part) => part.trim())).filter(Boolean);
  }

  /** One of these values. @throws FlagError */
  oneOf(name: string, allowed: readonly string[]): string | undefined {
    const value = this.text(name);
    if (value !== undefined && !allowed.includes(value))
      throw this.error(name, `"${value}"; allowed are ${allowed.join(", ")}`);
    return value;
  }
}

function isBool(name: string): boolean {
  return rules.get(name)?.type === "bool";
}

function secondsOf(text: string): number | undefined {
  if (text === "0") return 0;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|h|m|s)/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join("") !== text) return undefined;
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (durationUnits[unit as string] as number), 0);
}
