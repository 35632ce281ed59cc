import { posix } from "node:path";
import type { ConfigMap, Pod } from "#api/index.ts";
import { type Ip, tryParseIp } from "#base/ip.ts";

/** What a server's pod gives its Corefile beside the text. */
export interface ServerSurroundings {
  /** The pod's own. */
  readonly addresses: readonly Ip[];
  /** Environment variables with a value in the pod's spec. */
  readonly environment: Readonly<Record<string, string>>;
  /** Files that a pattern names, relative to the Corefile. */
  readonly readImport: (pattern: string) => readonly { readonly file: string; readonly text: string }[];
}

/** The names of the ConfigMaps that a pod has volumes of. */
export function configMapsOf({ spec }: Pod): string[] {
  return (spec.volumes ?? []).flatMap(({ configMap }) => (configMap?.name ? [configMap.name] : []));
}

/**
 * Environment and files of a DNS server's pod. Pure.
 * @param maps the ConfigMaps of its volumes
 */
export function surroundingsOf(pod: Pod, maps: readonly ConfigMap[]): ServerSurroundings {
  const files = filesOf(pod, maps);
  const corefile = [...files.keys()].find((path) => posix.basename(path) === "Corefile");
  const directory = corefile === undefined ? "/" : posix.dirname(corefile);
  const variables = (pod.spec.containers[0]?.env ?? []).flatMap(({ name, value }) =>
    value === undefined ? [] : [[name, value] as const],
  );
  return {
    addresses: (pod.status?.podIPs ?? []).flatMap(({ ip }) => tryParseIp(ip) ?? []),
    environment: Object.fromEntries(variables),
    readImport: (pattern) => {
      const full = posix.resolve(directory, pattern);
      const found = [...files].filter(([path]) => posix.matchesGlob(path, full));
      return found.map(([path, text]) => ({ file: posix.relative(directory, path), text }));
    },
  };
}

/** Texts by absolute path. */
function filesOf({ spec }: Pod, maps: readonly ConfigMap[]): Map<string, string> {
  const files = new Map<string, string>();
  for (const { name, mountPath } of spec.containers[0]?.volumeMounts ?? []) {
    const source = spec.volumes?.find((volume) => volume.name === name)?.configMap;
    const data = maps.find(({ metadata }) => metadata.name === source?.name)?.data ?? {};
    const items = source?.items ?? Object.keys(data).map((key) => ({ key, path: key }));
    for (const { key, path } of items) {
      const text = data[key];
      if (text !== undefined) files.set(posix.join(mountPath, path), text);
    }
  }
  return files;
}
