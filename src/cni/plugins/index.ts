import type { CniPlugin, PluginDeps } from "../plugin.ts";
import { bridgePlugin } from "./bridge/index.ts";
import { hostLocalPlugin } from "./host-local/index.ts";
import { loopbackPlugin } from "./loopback.ts";

/** Plugins that Podwire brings, by type. */
const makers: Readonly<Record<string, (deps: PluginDeps) => CniPlugin>> = {
  bridge: bridgePlugin,
  "host-local": hostLocalPlugin,
  loopback: loopbackPlugin,
};

/** Types of the plugins that Podwire brings. */
export const PLUGIN_TYPES: readonly string[] = Object.keys(makers);

/** One of Podwire's plugins; undefined when there is none of that type. */
export function builtinPlugin(type: string, deps: PluginDeps): CniPlugin | undefined {
  return Object.hasOwn(makers, type) ? makers[type]?.(deps) : undefined;
}
