import { readFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import type { JsonObject } from "../config/json.ts";
import { isObject } from "../config/json.ts";
import { CNI_ERROR, CniError } from "../errors.ts";
import type { CniCommand, PluginCall } from "../plugin.ts";
import { inSandbox, type SandboxDeps } from "../plugins/sandbox.ts";
import { type CniResult, parseResult } from "../result.ts";
import { executePlugin, pluginEnvironment, tryJson } from "./execute.ts";

/** What a script did. */
export interface ScriptOutcome {
  readonly result?: CniResult;
  /** For people: the script printed no result. */
  readonly warning?: string;
}

/**
 * Runs a script such as `net-script.sh` as a plugin. It is called the way the specification says and, in the way of
 * hand-written ones, with the arguments `add|del <container id> <namespace>`; the namespace is the name that
 * `ip -n` takes. When it prints no result, one is read from the namespace.
 * @throws CniError
 */
export async function runScript(
  file: string,
  command: CniCommand,
  call: PluginCall,
  input: JsonObject,
  deps: SandboxDeps,
): Promise<ScriptOutcome> {
  if (command !== "ADD" && command !== "DEL") return {};
  const words = scriptWords(readFileSync(file, "utf8"), command);
  const environment = pluginEnvironment(words.environment, call);
  const { stdout } = await executePlugin(
    file,
    [words.argument, call.containerId, netnsName(call.netns)],
    command,
    call,
    input,
    environment,
  );
  if (command === "DEL") return {};
  const printed = tryJson(stdout);
  if (isObject(printed)) return { result: parseResult(printed, call.cniVersion) };
  const result = readResult(call, deps);
  const addresses = result.ips.map((ip) => ip.address).join(", ");
  return {
    result,
    warning: `${basename(file)} printed no CNI result; ${addresses} was read from ${call.ifName} in the namespace`,
  };
}

/**
 * The words by which the script knows the operation: those of its own `case` labels when it has them (`ADD)`,
 * `DELETE)`), else `add` and `del`. CNI_COMMAND is DELETE only for a script without a `DEL)`.
 */
export function scriptWords(text: string, command: "ADD" | "DEL"): { argument: string; environment: string } {
  const code = text.replaceAll(/^\s*#.*$/gm, "");
  const has = (word: string) => new RegExp(`(?:^|[\\s|("'])${word}["']?\\s*(?:\\||\\))`, "m").test(code);
  const candidates = command === "ADD" ? ["add", "ADD"] : ["del", "DEL", "delete", "DELETE"];
  const argument = candidates.find(has) ?? candidates[0] ?? "";
  const environment = command === "DEL" && !has("DEL") && has("DELETE") ? "DELETE" : command;
  return { argument, environment };
}

/** The name of a namespace pinned where iproute2 looks, else its path. */
function netnsName(path: string): string {
  return ["/run/netns", "/var/run/netns"].includes(dirname(path)) ? basename(path) : path;
}

/** A result made from what the container's interface has now. */
function readResult(call: PluginCall, deps: SandboxDeps): CniResult {
  return inSandbox(deps, call, (rtnl) => {
    const links = rtnl.links().filter((link) => link.name !== "lo");
    const link = links.find((candidate) => candidate.name === call.ifName) ?? links[0];
    const addresses = link ? rtnl.addresses(link.index).filter(({ address }) => !address.startsWith("fe80:")) : [];
    if (!link || addresses.length === 0) {
      throw new CniError(
        CNI_ERROR.INTERNAL,
        `the script printed no result and left no address on ${call.ifName} in the namespace`,
      );
    }
    const routes = rtnl.routes({ index: link.index }).filter((route) => route.via !== undefined);
    const gateway = (v6: boolean) => routes.find((route) => route.dst === (v6 ? "::/0" : "0.0.0.0/0"))?.via;
    return {
      interfaces: [{ name: link.name, ...(link.mac === undefined ? {} : { mac: link.mac }), sandbox: call.netns }],
      ips: addresses.map(({ address }) => {
        const via = gateway(address.includes(":"));
        return { address, interface: 0, ...(via === undefined ? {} : { gateway: via }) };
      }),
      routes: routes.map((route) => ({ dst: route.dst, ...(route.via === undefined ? {} : { gw: route.via }) })),
      dns: {},
    };
  });
}
