import { posix } from "node:path";
import type { ConfigMap, EnvVar, Pod, Volume, VolumeMount } from "#api/index.ts";
import { PodwireError } from "#base/errors.ts";
import { type Ip, tryParseIp } from "#base/ip.ts";

/** What a server's pod gives its Corefile beside the text. */
export interface ServerSurroundings {
  /** The pod's own. */
  readonly addresses: readonly Ip[];
  /** Environment variables. @throws PodwireError `NotKnown` when one is read whose value is not in the pod */
  readonly environment: Readonly<Record<string, string>>;
  /** Directory of the Corefile. */
  readonly directory: string;
  /** A file's text by its absolute path; nothing when it is not known. Throws ENOENT when it is known not to be there. */
  readonly readText: (path: string) => string | undefined;
  /** Files that a pattern names, relative to the Corefile. @throws PodwireError `NotKnown` when their text is not known */
  readonly readImport: (pattern: string) => readonly { readonly file: string; readonly text: string }[];
}

/** Where a volume is in the container. */
interface Mount {
  readonly path: string;
  /** Texts by path below the mount, "" for a mount that is a file; no text, and no map, for what is not known. */
  readonly files?: ReadonlyMap<string, string | undefined>;
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
  const mounts = (pod.spec.containers[0]?.volumeMounts ?? []).map((mount) =>
    mountOf(
      mount,
      pod.spec.volumes?.find(({ name }) => name === mount.name),
      maps,
    ),
  );
  const paths = mounts.flatMap(({ path, files }) => [...(files?.keys() ?? [])].map((file) => posix.join(path, file)));
  const corefile = paths.find((path) => posix.basename(path) === "Corefile");
  const directory = corefile === undefined ? "/" : posix.dirname(corefile);
  const readText = (path: string) => textAt(path, mounts);
  return {
    addresses: (pod.status?.podIPs ?? []).flatMap(({ ip }) => tryParseIp(ip) ?? []),
    environment: environmentOf(pod),
    directory,
    readText,
    readImport: (pattern) => {
      const full = posix.resolve(directory, pattern);
      // A pattern is looked for where it begins: all of its directory has to be known.
      const mount = mountAt(full.replace(/[*?[].*$/, ""), mounts);
      if (mount && !mount.files) throw notKnown(pattern);
      return paths
        .filter((path) => posix.matchesGlob(path, full))
        .map((path) => {
          const text = readText(path);
          if (text === undefined) throw notKnown(path);
          return { file: posix.relative(directory, path), text };
        });
    },
  };
}

function notKnown(what: string): PodwireError {
  return new PodwireError("NotKnown", `${what} of the server's pod decides, and what it says is not known here`);
}

/** Variables of the first container; reading one whose value is elsewhere throws. */
function environmentOf(pod: Pod): Readonly<Record<string, string>> {
  const environment: Record<string, string> = {};
  for (const variable of pod.spec.containers[0]?.env ?? []) {
    const value = valueOfVariable(variable, pod);
    const get = (): string => {
      if (value === undefined) throw notKnown(`{$${variable.name}}`);
      return value;
    };
    Object.defineProperty(environment, variable.name, { get, configurable: true });
  }
  return environment;
}

function valueOfVariable({ value, valueFrom }: EnvVar, { metadata, status }: Pod): string | undefined {
  if (!valueFrom) return value ?? "";
  const path = valueFrom.fieldRef?.fieldPath;
  if (path === "metadata.name") return metadata.name;
  if (path === "metadata.namespace") return metadata.namespace;
  return path === "status.podIP" ? status?.podIP : undefined;
}

/** A mount of a ConfigMap with its files; of other volumes nothing is known. */
function mountOf(
  { mountPath, subPath, subPathExpr }: VolumeMount,
  volume: Volume | undefined,
  maps: readonly ConfigMap[],
): Mount {
  const path = posix.resolve(mountPath);
  const files = subPathExpr === undefined ? filesOf(volume, maps) : undefined;
  if (!files || subPath === undefined) return { path, ...(files && { files }) };
  // The part of the volume that the mount shows: a directory, or one file, which is at the mount's own path.
  const shown = [...files].flatMap(([file, text]) => {
    const below = posix.relative(subPath, file);
    return below.startsWith("..") ? [] : [[below, text] as const];
  });
  return { path, files: new Map(shown) };
}

function filesOf(volume: Volume | undefined, maps: readonly ConfigMap[]): Map<string, string | undefined> | undefined {
  const source = volume?.configMap;
  const map = maps.find(({ metadata }) => metadata.name === source?.name);
  if (!map) return source?.optional ? new Map() : undefined;
  const { data = {}, binaryData = {} } = map;
  const keys = new Set([...Object.keys(data), ...Object.keys(binaryData)]);
  const items = source?.items ?? [...keys].map((key) => ({ key, path: key }));
  return new Map(
    items.flatMap(({ key, path }) => (keys.has(key) ? [[posix.normalize(path), data[key]] as const] : [])),
  );
}

/** The mount that a path is in: the innermost. */
function mountAt(path: string, mounts: readonly Mount[]): Mount | undefined {
  const around = mounts.filter((mount) => `${path}/`.startsWith(mount.path === "/" ? "/" : `${mount.path}/`));
  return around.sort((a, b) => b.path.length - a.path.length)[0];
}

function textAt(path: string, mounts: readonly Mount[]): string | undefined {
  const mount = mountAt(path, mounts);
  if (!mount?.files) return undefined;
  const below = posix.relative(mount.path, path);
  if (mount.files.has(below)) return mount.files.get(below);
  throw Object.assign(new Error(`ENOENT: no such file or directory, open '${path}'`), { code: "ENOENT" });
}
