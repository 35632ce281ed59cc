import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CNI_ERROR, CniError } from "../errors.ts";
import { isObject, type JsonObject, parseConfigJson } from "./json.ts";
import { checkVersion, DEFAULT_VERSION } from "./versions.ts";

/** One plugin of a network: its configuration as written, with a type. */
export type PluginConfig = JsonObject & { readonly type: string };

/** A network: plugins to run in order. */
export interface NetworkConfig {
  readonly name: string;
  readonly cniVersion: string;
  readonly disableCheck: boolean;
  readonly plugins: readonly [PluginConfig, ...PluginConfig[]];
  /** File that it came from. */
  readonly file: string;
}

/** Endings of configuration files; anything else in the directory is ignored, as by libcni. */
const endings = [".conf", ".conflist", ".json"];

/** Names that are allowed for networks (SPEC.md section 1). */
const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/**
 * Loads the network in force: the first file in alphabetical order.
 * @throws CniError when there is no file, or the first one is wrong; the message is upstream's where it has one
 */
export function loadNetwork(directory: string): NetworkConfig {
  const [first] = configFiles(directory);
  if (first === undefined) throw new CniError(CNI_ERROR.TRY_AGAIN, `no networks found in ${directory}`);
  return readNetwork(first);
}

/** Configuration files of a directory in the order in which they are looked at. */
export function configFiles(directory: string): string[] {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return [];
  }
  return names
    .filter((name) => endings.some((ending) => name.endsWith(ending)))
    .sort()
    .map((name) => join(directory, name));
}

/** Reads one file. @throws CniError */
export function readNetwork(file: string): NetworkConfig {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new CniError(CNI_ERROR.IO_FAILURE, `error reading ${file}`, String(error), error);
  }
  return parseNetworkConfig(text, file);
}

/**
 * Parses a single plugin's configuration (`.conf`, `.json`) or a list (`.conflist`); the content decides.
 * @param file its name, for errors
 * @throws CniError
 */
export function parseNetworkConfig(text: string, file: string): NetworkConfig {
  const value = parseConfigJson(text, file);
  const invalid = (reason: string) => new CniError(CNI_ERROR.INVALID_CONFIG, `${file}: ${reason}`);
  const { name } = value;
  if (typeof name !== "string" || name === "") throw invalid('missing network name ("name")');
  if (!namePattern.test(name))
    throw invalid(`network name ${JSON.stringify(name)} has characters that are not allowed`);
  const cniVersion = value.cniVersion === undefined || value.cniVersion === "" ? DEFAULT_VERSION : value.cniVersion;
  if (typeof cniVersion !== "string") throw invalid('"cniVersion" is not text');
  try {
    checkVersion(cniVersion);
  } catch (error) {
    throw error instanceof CniError ? new CniError(error.code, `${file}: ${error.message}`, error.details) : error;
  }
  const listed = value.plugins;
  if (listed !== undefined && !Array.isArray(listed)) throw invalid('"plugins" is not a list');
  const [first, ...rest] = ((listed ?? [value]) as unknown[]).map((plugin, i) => checkPlugin(plugin, i, invalid));
  if (!first) throw invalid("no plugins in the list");
  return { name, cniVersion, disableCheck: value.disableCheck === true, plugins: [first, ...rest], file };
}

function checkPlugin(plugin: unknown, position: number, invalid: (reason: string) => CniError): PluginConfig {
  if (!isObject(plugin)) throw invalid(`plugin ${position} is not an object`);
  const { type } = plugin;
  if (typeof type !== "string" || type === "") throw invalid(`plugin ${position} has no "type"`);
  if (type.includes("/")) throw invalid(`plugin type ${JSON.stringify(type)} contains a slash`);
  return plugin as PluginConfig;
}
