import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import {
  type FieldPath,
  fieldNotes,
  type GivenConfig,
  type ProxyConfig,
  ProxyConfigError,
  readConfigFile,
  settleConfig,
} from "#services/index.ts";
import type { ProxyFlags } from "./flags.ts";

/** How the program runs, from its flags and its file. */
export interface Settled {
  readonly config: ProxyConfig;
  readonly nodeName: string;
  /** What was given and changes nothing, with the reason. */
  readonly notes: readonly string[];
}

/**
 * The file's configuration, or that of the flags where there is no file. Of the flags, beside a file, only
 * --hostname-override and --v count, as upstream.
 * @param read gives the file's text
 * @throws ProxyConfigError naming file and field, or flag
 */
export function settle(
  flags: ProxyFlags,
  read: (path: string) => string = (path) => readFileSync(path, "utf8"),
): Settled {
  const { configFile } = flags;
  const { config, given } = configFile === undefined ? fromFlags(flags) : fromFile(flags, configFile, read);
  const name = (flags.hostnameOverride ?? config.hostnameOverride) || hostname();
  const notes = [...flags.ignored, ...fieldNotes(given), ...(configFile === undefined ? [] : besideFile(flags))];
  return { config, nodeName: name.trim().toLowerCase(), notes };
}

interface Chosen {
  readonly config: ProxyConfig;
  readonly given: GivenConfig;
}

function fromFlags({ given, flagOf, off }: ProxyFlags): Chosen {
  const config = settleConfig(given, (path) => flagOf.get(path) ?? "flags");
  return { config: { ...config, ...Object.fromEntries(off.map((path) => [path, ""])) }, given };
}

/** Fields whose flags win over the file. */
const flagWins: readonly FieldPath[] = ["logging.verbosity", "logging.format"];

function fromFile(flags: ProxyFlags, path: string, read: (path: string) => string): Chosen {
  let text: string;
  try {
    text = read(path);
  } catch (error) {
    throw new ProxyConfigError(`failed to read --config: ${(error as Error).message}`);
  }
  const file = readConfigFile(text, path);
  const logging = Object.fromEntries(
    flagWins.flatMap((field) => (field in flags.given ? [[field, flags.given[field]]] : [])),
  );
  const given = { ...file.given, ...logging };
  return { config: settleConfig(given, file.at), given };
}

function besideFile({ flagOf }: ProxyFlags): string[] {
  const names = [...flagOf].filter(([path]) => !flagWins.includes(path)).map(([, name]) => name);
  return [...new Set(names)].map((name) => `${name}: the file of --config decides`);
}
