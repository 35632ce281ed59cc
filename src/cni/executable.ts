import { basename } from "node:path";
import { isObject, parseConfigJson } from "./config/json.ts";
import { loadNetwork, type PluginConfig } from "./config/network.ts";
import { CURRENT_VERSION, checkVersion, DEFAULT_VERSION, SUPPORTED_VERSIONS } from "./config/versions.ts";
import { kernelDeps } from "./deps.ts";
import { CNI_ERROR, CniError, errorJson } from "./errors.ts";
import type { CniCommand, PluginCall, PluginDeps } from "./plugin.ts";
import { builtinPlugin, PLUGIN_TYPES } from "./plugins/index.ts";
import { emptyResult, parseResult, resultJson } from "./result.ts";
import { PluginCaller, runBuiltin } from "./runtime/caller.ts";

/** How a plugin's process was started. */
export interface ExecutableInput {
  /** The whole argument vector after node: program file, then arguments. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Reads standard input to its end. */
  stdin(): string;
}

/** What the process prints and its exit code. */
export interface ExecutableOutput {
  readonly code: number;
  readonly stdout: string;
}

const commands: readonly string[] = ["ADD", "DEL", "CHECK", "STATUS", "GC", "VERSION"];
/** Where a plugin typed by hand finds its configuration and its IPAM plugin. */
const HAND_CONF_DIR = "/etc/cni/net.d";
const HAND_PATH = "/opt/cni/bin";

/**
 * The plugins as executables. Which one is said by the program's name or the first argument:
 * `bridge` by a link or wrapper, or `cni.cjs bridge`. Also by hand: `bridge add <container> <netns path>` with the
 * configuration of the first network in /etc/cni/net.d.
 */
export async function runExecutable(
  input: ExecutableInput,
  deps: Omit<PluginDeps, "delegate"> = kernelDeps(),
): Promise<ExecutableOutput> {
  const [program = "", ...args] = input.argv;
  const own = basename(program).replace(/\.\w+$/, "");
  const type = PLUGIN_TYPES.includes(own) ? own : (args.shift() ?? "");
  let version = CURRENT_VERSION;
  try {
    if (!PLUGIN_TYPES.includes(type)) {
      throw new CniError(
        CNI_ERROR.INVALID_ENVIRONMENT,
        `no plugin ${JSON.stringify(type)}; there are ${PLUGIN_TYPES.join(", ")}`,
      );
    }
    const request = args.length > 0 && input.env.CNI_COMMAND === undefined ? byHand(type, args) : byEnvironment(input);
    if ("answer" in request) return { code: 0, stdout: request.answer };
    version = request.call.cniVersion;
    const caller = new PluginCaller(deps);
    const plugin = builtinPlugin(type, {
      ...deps,
      delegate: async (...delegated) => (await caller.call(...delegated)).result,
    });
    const outcome = plugin ? await runBuiltin(plugin, request.command, request.call) : {};
    const result =
      request.command === "ADD"
        ? `${JSON.stringify(resultJson(outcome.result ?? emptyResult, version), null, 2)}\n`
        : "";
    return { code: 0, stdout: result };
  } catch (error) {
    return { code: 1, stdout: `${JSON.stringify(errorJson(error, version), null, 2)}\n` };
  }
}

type Request = { readonly command: CniCommand; readonly call: PluginCall } | { readonly answer: string };

/** SPEC.md section 2: parameters in the environment, configuration on standard input. */
function byEnvironment(input: ExecutableInput): Request {
  const { env } = input;
  const command = env.CNI_COMMAND ?? "";
  const invalid = (reason: string) => new CniError(CNI_ERROR.INVALID_ENVIRONMENT, reason);
  if (command === "") throw invalid("required env variables [CNI_COMMAND] missing");
  if (!commands.includes(command)) throw invalid(`unknown CNI_COMMAND: ${command}`);
  const text = input.stdin();
  // Typed by hand, VERSION comes without a configuration; upstream's plugins answer as well.
  const config =
    command === "VERSION" && text.trim() === ""
      ? { cniVersion: CURRENT_VERSION }
      : parseConfigJson(text, "standard input");
  const version =
    typeof config.cniVersion === "string" && config.cniVersion !== "" ? config.cniVersion : DEFAULT_VERSION;
  if (command === "VERSION") {
    return { answer: `${JSON.stringify({ cniVersion: version, supportedVersions: SUPPORTED_VERSIONS })}\n` };
  }
  checkVersion(version);
  const missing = requiredVariables(command).filter((name) => !env[name]);
  if (missing.length > 0) throw invalid(`required env variables [${missing.join(",")}] missing`);
  const { name } = config;
  if (typeof name !== "string" || name === "") throw new CniError(CNI_ERROR.INVALID_CONFIG, "missing network name");
  const containerId = env.CNI_CONTAINERID ?? "";
  if (containerId !== "" && !/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(containerId))
    throw invalid(`invalid characters in containerID: ${containerId}`);
  const ifName = env.CNI_IFNAME ?? "";
  if (Buffer.byteLength(ifName) > 15 || /[\s/:]/.test(ifName) || [".", ".."].includes(ifName))
    throw invalid(`invalid interface name: ${ifName}`);
  const { prevResult } = config;
  const call: PluginCall = {
    containerId,
    netns: env.CNI_NETNS ?? "",
    ifName,
    args: parseArgs(env.CNI_ARGS ?? ""),
    path: (env.CNI_PATH ?? HAND_PATH).split(":").filter(Boolean),
    networkName: name,
    cniVersion: version,
    config: config as PluginConfig,
    ...(isObject(prevResult) ? { prevResult: parseResult(prevResult, version) } : {}),
  };
  return { command: command as CniCommand, call };
}

/** SPEC.md section 2, "CNI operations": which variables each operation needs. */
function requiredVariables(command: string): string[] {
  switch (command) {
    case "ADD":
    case "CHECK":
      return ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"];
    case "DEL":
      return ["CNI_CONTAINERID", "CNI_IFNAME"];
    default:
      return [];
  }
}

/** CNI_ARGS: `KEY=value;KEY=value`. */
function parseArgs(text: string): Record<string, string> {
  const pairs = text
    .split(";")
    .filter(Boolean)
    .map((pair): [string, string] => {
      const at = pair.indexOf("=");
      if (at < 1) throw new CniError(CNI_ERROR.INVALID_ENVIRONMENT, `invalid CNI_ARGS pair ${JSON.stringify(pair)}`);
      return [pair.slice(0, at), pair.slice(at + 1)];
    });
  return Object.fromEntries(pairs);
}

/** `bridge add <container> <netns>`: what the specification leaves to the environment comes from arguments. */
function byHand(type: string, args: readonly string[]): Request {
  const [word = "", containerId = "", netns = ""] = args;
  const command = word.toUpperCase();
  if ((command !== "ADD" && command !== "DEL") || containerId === "" || netns === "") {
    throw new CniError(CNI_ERROR.INVALID_ENVIRONMENT, `usage: ${type} add|del <container id> <network namespace path>`);
  }
  const network = loadNetwork(HAND_CONF_DIR);
  const config = network.plugins.find((plugin) => plugin.type === type);
  if (!config)
    throw new CniError(CNI_ERROR.INVALID_CONFIG, `${network.file} has no plugin of type ${JSON.stringify(type)}`);
  const path = netns.includes("/") ? netns : `/run/netns/${netns}`;
  const call = { containerId, netns: path, ifName: "eth0", args: {}, path: [HAND_PATH], networkName: network.name };
  return { command, call: { ...call, cniVersion: network.cniVersion, config } };
}
