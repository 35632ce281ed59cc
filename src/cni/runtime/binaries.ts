import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { CNI_ERROR, CniError } from "../errors.ts";
import { PLUGIN_TYPES } from "../plugins/index.ts";

/** Where a plugin was found and how to call it. */
export interface PluginBinary {
  readonly file: string;
  /**
   * `own`: our wrapper, unchanged, so the plugin may run in this process. `script`: a script such as net-script.sh,
   * which gets `add|del <id> <netns>` besides what the specification says. `program`: any other executable.
   */
  readonly kind: "own" | "script" | "program";
}

/** The longest file that can be one of our wrappers, in bytes. */
const WRAPPER_BYTES = 1024;

/**
 * Finds a plugin in the directories, the first that has it. A script may have the ending `.sh`.
 * @throws CniError naming type and directories, with libcni's text
 */
export function findPlugin(type: string, directories: readonly string[]): PluginBinary {
  for (const directory of directories) {
    for (const name of [type, `${type}.sh`]) {
      const file = join(directory, name);
      if (isExecutable(file)) return { file, kind: kindOf(file, type) };
    }
  }
  throw new CniError(
    CNI_ERROR.INVALID_CONFIG,
    `failed to find plugin ${JSON.stringify(type)} in path [${directories.join(" ")}]`,
  );
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

function kindOf(file: string, type: string): PluginBinary["kind"] {
  if (type === "net-script" || file.endsWith(".sh")) return "script";
  if (!PLUGIN_TYPES.includes(type) || statSync(file).size > WRAPPER_BYTES) return "program";
  return isOwnWrapper(readFileSync(file, "utf8"), type) ? "own" : "program";
}

/**
 * Whether the text is the wrapper that nodes have in /opt/cni/bin: `exec <node> …/cni.cjs <type> "$@"` and nothing
 * else. Whoever edits it gets what he wrote, by exec.
 */
export function isOwnWrapper(text: string, type: string): boolean {
  const match = /^#!\/bin\/sh\nexec \S+ \S*\bcni(?:\.cjs|\/main\.ts) (\S+) "\$@"\n$/.exec(text);
  return match?.[1] === type;
}
