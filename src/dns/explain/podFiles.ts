import { posix } from "node:path";
import type { ConfigMap, Pod } from "#api/index.ts";
import { type Ip, tryParseIp } from "#base/ip.ts";

/** What a server's pod gives its Corefile beside the text. */
export interface ServerSurroundings {
  /** The pod's own. */
  readonly addresses: readonly Ip[];
  /** Environment variables with a value in the pod's spec. */
  readonly environment: Readonly<Record<string, string>>;
  /** Directory of the Corefile. */
  readonly directory: string;
  /** A file's text by its absolute path; nothing when it is not known. Throws ENOENT when it is known not to be there. */
  readonly readText: (path: string) => string | undefined;
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
    directory,
    readText: (path) => textAt(path, files, mountsOf(pod, maps)),
    readImport: (pattern) => {
      const full = posix.resolve(directory, pattern);
      const found = [...files].filter(([path]) => posix.matchesGlob(path, full));
      return found.map(([path, text]) => ({ file: posix.relative(directory, path), text }));
    },
  };
}

/** Directories that are volumes of ConfigMaps, with them: all that is in there is known. */
function mountsOf({ spec }: Pod, maps: readonly ConfigMap[]): Map<string, ConfigMap> {
  const mounts = (spec.containers[0]?.volumeMounts ?? []).flatMap(({ name, mountPath }) => {
    const source = spec.volumes?.find((volume) => volume.name === name)?.configMap;
    const map = maps.find(({ metadata }) => metadata.name === source?.name);
    return map ? [[posix.resolve(mountPath), map] as const] : [];
  });
  return new Map(mounts);
}

function textAt(
  path: string,
  files: ReadonlyMap<string, string>,
  mounts: ReadonlyMap<string, ConfigMap>,
): string | undefined {
  const text = files.get(path);
  const map = mounts.get(posix.dirname(path));
  if (text !== undefined || !map || map.binaryData?.[posix.basename(path)] !== undefined) return text;
  throw Object.assign(new Error(`ENOENT: no such file or directory, open '${path}'`), { code: "ENOENT" });
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
