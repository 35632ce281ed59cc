import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { isObject, type JsonObject } from "../config/json.ts";
import { CNI_ERROR, CniError } from "../errors.ts";
import type { CniCommand, PluginCall } from "../plugin.ts";

/** A plugin that hangs is killed after this time, in ms. */
const TIME_LIMIT = 120_000;

/** Environment of a plugin's process (SPEC.md section 2, "Parameters"), over our own. */
export function pluginEnvironment(command: string, call: PluginCall): Record<string, string> {
  const args = Object.entries(call.args).map(([key, value]) => `${key}=${value}`);
  return {
    ...(process.env as Record<string, string>),
    CNI_COMMAND: command,
    CNI_CONTAINERID: call.containerId,
    CNI_NETNS: call.netns,
    CNI_IFNAME: call.ifName,
    CNI_ARGS: args.join(";"),
    CNI_PATH: call.path.join(":"),
  };
}

/** What a plugin's process printed. */
export interface PluginOutput {
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a plugin as a process, in this process's namespaces, with its configuration on standard input.
 * @throws CniError the plugin's own, or what there is to say of its end
 */
export async function executePlugin(
  file: string,
  args: readonly string[],
  command: CniCommand,
  call: PluginCall,
  input: JsonObject,
  environment = pluginEnvironment(command, call),
): Promise<PluginOutput> {
  const child = spawn(file, args, { env: environment, stdio: "pipe", timeout: TIME_LIMIT, killSignal: "SIGKILL" });
  // A plugin that reads no input closes the pipe: that is its right.
  child.stdin.on("error", () => {});
  child.stdin.end(JSON.stringify(input));
  const ended = new Promise<string | undefined>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) =>
      resolve(code === 0 ? undefined : signal ? `killed by ${signal}` : `exit code ${code}`),
    );
  });
  try {
    const [failure, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
    if (failure === undefined) return { stdout, stderr };
    throw failureOf(file, failure, stdout, stderr);
  } catch (error) {
    if (error instanceof CniError) throw error;
    throw new CniError(CNI_ERROR.IO_FAILURE, `cannot run plugin ${file}: ${String(error)}`, "", error);
  }
}

function failureOf(file: string, failure: string, stdout: string, stderr: string): CniError {
  const printed = tryJson(stdout);
  if (isObject(printed) && typeof printed.msg === "string") {
    const code = typeof printed.code === "number" ? printed.code : CNI_ERROR.INTERNAL;
    return new CniError(code, printed.msg, typeof printed.details === "string" ? printed.details : "");
  }
  const said = (stderr.trim() || stdout.trim()).slice(-1000);
  return new CniError(
    CNI_ERROR.INTERNAL,
    `plugin ${file} failed with ${failure}${said ? `: ${said}` : " and said nothing"}`,
  );
}

/** Parsed JSON, undefined for text that is none. */
export function tryJson(textOf: string): unknown {
  try {
    return JSON.parse(textOf);
  } catch {
    return undefined;
  }
}
