import { stringify } from "yaml";
import { formatGoDuration } from "#base/goDuration.ts";
import { fieldPaths, type ProxyConfig, ruleOf } from "./fields.ts";
import { CONFIG_KIND, CONFIG_VERSION } from "./file.ts";

/** A configuration as upstream writes it: nested, with Go's durations. */
export function configObject(config: ProxyConfig): Record<string, unknown> {
  const root: Record<string, unknown> = { apiVersion: CONFIG_VERSION, kind: CONFIG_KIND };
  for (const path of fieldPaths) {
    if (ruleOf(path)?.isFormer && config[path] === ruleOf(path)?.value) continue;
    const parts = path.split(".");
    let map = root;
    for (const part of parts.slice(0, -1)) {
      map[part] ??= {};
      map = map[part] as Record<string, unknown>;
    }
    const value = config[path];
    map[parts.at(-1) as string] = ruleOf(path)?.type === "duration" ? formatGoDuration(value as number) : value;
  }
  return root;
}

/** A configuration as a file, keys in alphabetical order as upstream's --write-config-to has them. */
export function configText(config: ProxyConfig): string {
  return stringify(configObject(config), { sortMapEntries: true, lineWidth: 0 });
}
