import {
  allowedWords,
  type FieldPath,
  type FieldType,
  type GivenConfig,
  ruleOf,
  valueOfText,
} from "#services/index.ts";
import { type FieldFlag, ownFlags, sections, withoutEffect } from "./flagTable.ts";
import { helpText, versionText } from "./help.ts";

/** A command line that is not understood; or, with code 0, one that asked for the help or the version. */
export class FlagError extends Error {
  readonly code: number;

  constructor(message: string, code = 1) {
    super(message);
    this.code = code;
  }
}

/** What the command line of kube-proxy says. */
export interface ProxyFlags {
  readonly configFile?: string;
  readonly writeConfigTo?: string;
  readonly cleanup: boolean;
  readonly initOnly: boolean;
  readonly master?: string;
  readonly hostnameOverride?: string;
  /** Fields that flags stand for. */
  readonly given: GivenConfig;
  /** Ports that flags switch off. */
  readonly off: readonly ("healthzBindAddress" | "metricsBindAddress")[];
  /** Flag behind a field, for messages. */
  readonly flagOf: ReadonlyMap<FieldPath, string>;
  /** Flags that were given and change nothing: `--name: why`. */
  readonly ignored: readonly string[];
}

const fieldFlags = new Map<string, FieldFlag>(Object.values(sections).flatMap((section) => Object.entries(section)));

/** Reads the command line as Go's pflag does. @throws FlagError */
export function parseProxyFlags(argv: readonly string[]): ProxyFlags {
  const own = new Map<string, string>();
  const given: Record<string, unknown> = {};
  const flagOf = new Map<FieldPath, string>();
  const ignored: string[] = [];
  for (const [name, text] of words(argv)) {
    if (Object.hasOwn(withoutEffect, name)) ignored.push(`--${name}: ${withoutEffect[name]}`);
    else if (Object.hasOwn(ownFlags, name)) own.set(name, text);
    else {
      for (const path of fieldFlags.get(name)?.fields ?? []) {
        const value = fieldValue(name, path, text);
        const before = given[path];
        // A list may be given more than once.
        given[path] = Array.isArray(before) && Array.isArray(value) ? [...before, ...value] : value;
        flagOf.set(path, `--${name}`);
      }
    }
  }
  const [configFile, writeConfigTo, master] = ["config", "write-config-to", "master"].map((name) => own.get(name));
  const override = own.get("hostname-override");
  if (override !== undefined && override !== "" && override.trim() === "")
    throw new FlagError("empty hostname-override is invalid");
  return {
    ...(configFile && { configFile }),
    ...(writeConfigTo && { writeConfigTo }),
    ...(master && { master }),
    ...(override && { hostnameOverride: override.trim().toLowerCase() }),
    cleanup: isOn(own, "cleanup"),
    initOnly: isOn(own, "init-only"),
    given: given as GivenConfig,
    off: switchedOff(own, given),
    flagOf,
    ignored,
  };
}

/** Each flag with its text; a bare flag of true or false is true. @throws FlagError */
function* words(argv: readonly string[]): Generator<[name: string, text: string]> {
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] as string;
    const [, name = "", inline] = /^--?([a-zA-Z][\w-]*)(?:=([\s\S]*))?$/.exec(word) ?? [];
    if (name === "help" || name === "h") throw new FlagError(helpText(), 0);
    if (name === "version") throw new FlagError(versionText(), 0);
    if (name === "") throw new FlagError(`kube-proxy does not take any arguments, got ${JSON.stringify(word)}`);
    if (!isKnown(name)) throw new FlagError(`unknown flag: --${name}\nSee 'podwire kube-proxy --help'.`);
    const isBool = typeOf(name) === "bool";
    if (inline === undefined && !isBool && argv[i + 1] === undefined)
      throw new FlagError(`flag needs an argument: --${name}`);
    yield [name, inline ?? (isBool ? "true" : (argv[++i] as string))];
  }
}

function isKnown(name: string): boolean {
  return fieldFlags.has(name) || Object.hasOwn(ownFlags, name) || Object.hasOwn(withoutEffect, name);
}

function typeOf(name: string): FieldType {
  const [path] = fieldFlags.get(name)?.fields ?? [];
  if (path) return ruleOf(path)?.type ?? "string";
  return ["cleanup", "init-only", "log-json-split-stream", "log-text-split-stream"].includes(name) ? "bool" : "string";
}

function fieldValue(name: string, path: FieldPath, text: string): unknown {
  const type = ruleOf(path)?.type ?? "string";
  const value = valueOfText(type, text);
  if (value === undefined)
    throw new FlagError(
      `invalid argument ${JSON.stringify(text)} for "--${name}" flag: allowed is ${allowedWords[type]}`,
    );
  return value;
}

function isOn(own: ReadonlyMap<string, string>, name: string): boolean {
  const text = own.get(name) ?? "false";
  const value = valueOfText("bool", text);
  if (value === undefined) throw new FlagError(`invalid argument ${JSON.stringify(text)} for "--${name}" flag`);
  return value === true;
}

/** An empty address, or the deprecated port 0, serves nothing. */
function switchedOff(own: ReadonlyMap<string, string>, given: Readonly<Record<string, unknown>>): ProxyFlags["off"] {
  const ports = [
    ["healthzBindAddress", "healthz-port"],
    ["metricsBindAddress", "metrics-port"],
  ] as const;
  return ports.filter(([path, port]) => given[path] === "" || own.get(port) === "0").map(([path]) => path);
}
