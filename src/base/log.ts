import { errorMessage } from "./errors.ts";

/** Values beside a log message; errors are written as their message. */
export type LogFields = Readonly<Record<string, unknown>>;

/** A named log. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A line in a form of its own that others read, at the level of info. Control characters are escaped. */
  line(text: string): void;
  /** A log whose name is `this/name`. */
  child(name: string): Logger;
}

/** Where lines go, and from which level on. */
export interface LogOptions {
  /** Takes one line with its newline. Default: standard error. */
  readonly write?: (line: string) => void;
  /** The lowest level written. Default: info. */
  readonly level?: "debug" | "info" | "warn" | "error";
  /** Default: the real clock. */
  readonly now?: () => Date;
}

const levels = { debug: 0, info: 1, warn: 2, error: 3 } as const;

/**
 * A log of one line per entry in klog's text form:
 * `I1121 03:51:00.123000 kubelet/cni] "Pod got its address" pod="default/web" ip="10.244.1.2"`.
 */
export function createLogger(name: string, options: LogOptions = {}): Logger {
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  const now = options.now ?? (() => new Date());
  const lowest = levels[options.level ?? "info"];
  const entry = (level: keyof typeof levels, message: string, fields?: LogFields) => {
    if (levels[level] < lowest) return;
    // klog has no letter for debug: V-levels print as I.
    const letter = level === "debug" ? "I" : level[0]?.toUpperCase();
    write(`${letter}${timeStamp(now())} ${name}] ${JSON.stringify(message)}${fieldText(fields)}\n`);
  };
  return {
    debug: (message, fields) => entry("debug", message, fields),
    info: (message, fields) => entry("info", message, fields),
    warn: (message, fields) => entry("warn", message, fields),
    error: (message, fields) => entry("error", message, fields),
    line: (text) => {
      if (levels.info >= lowest) write(`${text.replaceAll(controls, escaped)}\n`);
    },
    child: (child) => createLogger(`${name}/${child}`, options),
  };
}

const controls = /[\p{Cc}\u2028\u2029]/gu;

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** `MMDD hh:mm:ss.uuuuuu` in UTC. */
function timeStamp(date: Date): string {
  const iso = date.toISOString(); // 2026-11-21T03:51:00.123Z
  return `${iso.slice(5, 7)}${iso.slice(8, 10)} ${iso.slice(11, 23)}000`;
}

function fieldText(fields: LogFields | undefined): string {
  if (!fields) return "";
  let text = "";
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const shown = typeof value === "number" || typeof value === "boolean" ? String(value) : quoted(value);
    text += ` ${key}=${shown}`;
  }
  return text;
}

function quoted(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (value instanceof Error) return JSON.stringify(errorMessage(value));
  return JSON.stringify(value) ?? String(value);
}
