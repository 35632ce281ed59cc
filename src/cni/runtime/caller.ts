import { isObject, type JsonObject } from "../config/json.ts";
import { CNI_ERROR, CniError } from "../errors.ts";
import type { CniCommand, CniPlugin, Delegate, PluginCall, PluginDeps } from "../plugin.ts";
import { builtinPlugin } from "../plugins/index.ts";
import { type CniResult, parseResult, resultJson } from "../result.ts";
import { findPlugin } from "./binaries.ts";
import { executePlugin, tryJson } from "./execute.ts";
import { runScript } from "./script.ts";

/** What calling a plugin gave. */
export interface CallOutcome {
  readonly result?: CniResult;
  readonly warning?: string;
}

/**
 * Calls plugins: our own in this process when /opt/cni/bin has our unchanged wrapper, anything else as a process.
 * Plugins called in this process delegate through the same caller.
 */
export class PluginCaller {
  readonly #deps: PluginDeps;
  /** Our own plugins so far; they remember what spares them work from call to call. */
  readonly #builtins = new Map<string, CniPlugin>();

  constructor(deps: Omit<PluginDeps, "delegate">) {
    const delegate: Delegate = async (command, type, call) => (await this.call(command, type, call)).result;
    this.#deps = { ...deps, delegate };
  }

  /** @throws CniError */
  async call(command: CniCommand, type: string, call: PluginCall): Promise<CallOutcome> {
    const binary = findPlugin(type, call.path);
    if (binary.kind === "own") {
      const plugin = this.#builtins.get(type) ?? builtinPlugin(type, this.#deps);
      if (plugin) this.#builtins.set(type, plugin);
      if (plugin) return runBuiltin(plugin, command, call);
    }
    const input = standardInput(call);
    if (binary.kind === "script") return runScript(binary.file, command, call, input, this.#deps);
    const { stdout } = await executePlugin(binary.file, [], command, call, input);
    if (command !== "ADD") return {};
    const printed = tryJson(stdout);
    if (isObject(printed)) return { result: parseResult(printed, call.cniVersion) };
    throw new CniError(
      CNI_ERROR.DECODE_FAILURE,
      `plugin ${binary.file} printed no JSON result: ${JSON.stringify(stdout.slice(0, 200))}`,
    );
  }
}

/** Calls a method of a plugin in this process. */
export async function runBuiltin(plugin: CniPlugin, command: CniCommand, call: PluginCall): Promise<CallOutcome> {
  switch (command) {
    case "ADD":
      return { result: await plugin.add(call) };
    case "DEL":
      await plugin.del(call);
      return {};
    case "CHECK":
      await plugin.check(call);
      return {};
    case "STATUS":
      await plugin.status(call);
      return {};
    case "GC":
      await plugin.gc(call);
      return {};
    case "VERSION":
      return {};
  }
}

/** What a plugin's process reads: its configuration with the network's name, version and the previous result. */
function standardInput(call: PluginCall): JsonObject {
  return {
    ...call.config,
    name: call.networkName,
    cniVersion: call.cniVersion,
    ...(call.prevResult ? { prevResult: resultJson(call.prevResult, call.cniVersion) } : {}),
  };
}
