import { isDigest } from "./digest.ts";
import { ImageFault } from "./errors.ts";

/** Media types of manifests, as they are asked for (image-spec v1.1 media-types.md; Docker's manifest v2 schema 2). */
export const MANIFEST_TYPES = {
  ociManifest: "application/vnd.oci.image.manifest.v1+json",
  ociIndex: "application/vnd.oci.image.index.v1+json",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
  dockerList: "application/vnd.docker.distribution.manifest.list.v2+json",
} as const;

/** How a layer is packed, by its media type; layers that only other registries give out are not had. */
const PACKINGS = new Map(
  Object.entries<Packing>({
    "application/vnd.oci.image.layer.v1.tar": "none",
    "application/vnd.oci.image.layer.v1.tar+gzip": "gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd": "zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar": "none",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": "gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": "zstd",
    "application/vnd.docker.image.rootfs.diff.tar": "none",
    "application/vnd.docker.image.rootfs.diff.tar.gzip": "gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd": "zstd",
  }),
);

/** How bytes are compressed. */
export type Packing = "none" | "gzip" | "zstd";

/** Bounds of what documents may say. */
const MAX_LAYERS = 127;
const MAX_MANIFESTS = 1000;
/** Of one blob, in bytes: 16 GiB. */
const MAX_BLOB = 16 * 1024 ** 3;
/** Bytes of a manifest or a configuration (distribution-spec: registries should take at least 4 MiB). */
export const MAX_DOCUMENT = 4 * 1024 * 1024;

/** What a document points to. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** An image's manifest for one platform. */
export interface Manifest {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

/** For which machines an image is made. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

/** What an image's configuration says (image-spec config.md). */
export interface ImageConfig {
  readonly platform: Platform;
  readonly created?: string;
  readonly diffIds: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  /** In the order in which it is written. */
  readonly env: readonly (readonly [name: string, value: string])[];
  readonly workingDir: string;
  /** As written: `user`, `uid`, `user:group`, … */
  readonly user: string;
  /** Such as `80/tcp`. */
  readonly exposedPorts: readonly string[];
  /** As written: `SIGQUIT`, `3`. */
  readonly stopSignal?: string;
}

type Json = Readonly<Record<string, unknown>>;

const refuse = (words: string) => new ImageFault("Refused", words);

/** Reads a JSON object. @throws ImageFault "Refused" */
export function parseObject(bytes: Uint8Array, what: string): Json {
  if (bytes.length > MAX_DOCUMENT) throw refuse(`${what} has ${bytes.length} bytes; allowed are ${MAX_DOCUMENT}`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw refuse(`${what} is no JSON: ${(error as Error).message}`);
  }
  if (!isObject(value)) throw refuse(`${what} is no JSON object`);
  return value;
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function list(value: unknown, what: string, max: number): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw refuse(`${what} is no list`);
  if (value.length > max) throw refuse(`${what} has ${value.length} entries; allowed are ${max}`);
  return value as unknown[];
}

function strings(value: unknown, what: string): string[] {
  return list(value, what, 10_000).map((item) => {
    if (typeof item !== "string") throw refuse(`${what} holds something that is no text`);
    return item;
  });
}

const text = (value: unknown): string => (typeof value === "string" ? value : "");

function descriptor(value: unknown, what: string): Descriptor {
  if (!isObject(value)) throw refuse(`${what} is no descriptor`);
  const { digest, size, mediaType } = value;
  if (!isDigest(digest)) throw refuse(`${what}: digest ${JSON.stringify(digest)}: only sha256 is known here`);
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0 || size > MAX_BLOB)
    throw refuse(`${what}: size ${JSON.stringify(size)}; allowed is 0 to ${MAX_BLOB}`);
  return { digest, size, mediaType: text(mediaType) };
}

/** Whether a document lists manifests of several platforms. */
export function isIndex(document: Json): boolean {
  const type = document["mediaType"];
  if (type === MANIFEST_TYPES.ociIndex || type === MANIFEST_TYPES.dockerList) return true;
  return type === undefined && Array.isArray(document["manifests"]) && document["config"] === undefined;
}

/** Reads a manifest. @throws ImageFault "Refused" for one of another kind, or a broken one */
export function parseManifest(document: Json): Manifest {
  if (document["schemaVersion"] === 1)
    throw refuse(
      "media type application/vnd.docker.distribution.manifest.v1+json is no longer supported: not implemented",
    );
  if (document["config"] === undefined) throw refuse("the manifest has no configuration: it is not one of an image");
  const config = descriptor(document["config"], "the manifest's config");
  if (config.size > MAX_DOCUMENT)
    throw refuse(`the image's configuration has ${config.size} bytes; allowed are ${MAX_DOCUMENT}`);
  const layers = list(document["layers"], "the manifest's layers", MAX_LAYERS).map((item, i) =>
    descriptor(item, `layer ${i}`),
  );
  return { config, layers };
}

/** How a layer is packed. @throws ImageFault "Refused" for what is no file system */
export function packingOf(mediaType: string): Packing {
  const packing = PACKINGS.get(mediaType);
  if (packing === undefined)
    throw refuse(`a layer of media type ${JSON.stringify(mediaType)} is no part of a file system`);
  return packing;
}

/** This machine's platform as images name it. */
export function ownPlatform(arch: string = process.arch): Platform {
  return arch === "arm64"
    ? { os: "linux", architecture: "arm64", variant: "v8" }
    : { os: "linux", architecture: "amd64" };
}

function fits(candidate: Json, wanted: Platform): boolean {
  const { os, architecture, variant } = candidate;
  if (os !== wanted.os || architecture !== wanted.architecture) return false;
  return variant === undefined || variant === "" || variant === wanted.variant || wanted.variant === undefined;
}

/**
 * Chooses from an index. An entry without a platform counts when there is no other.
 * @throws ImageFault "NotFound" in containerd's words
 */
export function choosePlatform(document: Json, wanted: Platform, name: string): Descriptor {
  const entries = list(document["manifests"], "the index's manifests", MAX_MANIFESTS).filter(isObject);
  const fitting = entries.find((entry) => isObject(entry["platform"]) && fits(entry["platform"], wanted));
  const bare = entries.filter((entry) => !isObject(entry["platform"]));
  const chosen = fitting ?? (bare.length === entries.length ? bare[0] : undefined);
  if (!chosen) {
    const { os, architecture, variant } = wanted;
    const platform = [os, architecture, ...(variant ? [variant] : [])].join("/");
    throw new ImageFault("NotFound", `no match for platform in manifest: ${name} has none for ${platform}: not found`);
  }
  return descriptor(chosen, "the index's manifest");
}

/** Reads an image's configuration. @throws ImageFault "Refused" */
export function parseConfig(bytes: Uint8Array): ImageConfig {
  const document = parseObject(bytes, "the image's configuration");
  const rootfs = isObject(document["rootfs"]) ? document["rootfs"] : {};
  const diffIds = strings(rootfs["diff_ids"], "rootfs.diff_ids");
  for (const id of diffIds) if (!isDigest(id)) throw refuse(`diff_id ${JSON.stringify(id)}: only sha256 is known here`);
  const config = isObject(document["config"]) ? document["config"] : {};
  const variant = text(document["variant"]);
  return {
    platform: {
      os: text(document["os"]),
      architecture: text(document["architecture"]),
      ...(variant ? { variant } : {}),
    },
    ...(typeof document["created"] === "string" ? { created: document["created"] } : {}),
    diffIds,
    entrypoint: strings(config["Entrypoint"], "Entrypoint"),
    cmd: strings(config["Cmd"], "Cmd"),
    env: strings(config["Env"], "Env").map((pair) => {
      const at = pair.indexOf("=");
      return at < 0 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + 1)];
    }),
    workingDir: text(config["WorkingDir"]) || "/",
    user: text(config["User"]),
    exposedPorts: isObject(config["ExposedPorts"]) ? Object.keys(config["ExposedPorts"]) : [],
    ...(text(config["StopSignal"]) ? { stopSignal: text(config["StopSignal"]) } : {}),
  };
}

/** Checks that an image is for this machine, and that each layer has its name. @throws ImageFault "Refused" */
export function checkConfig(config: ImageConfig, layers: number, wanted: Platform): void {
  const { os, architecture } = config.platform;
  if ((os !== "" && os !== wanted.os) || (architecture !== "" && architecture !== wanted.architecture))
    throw refuse(`the image is for ${os}/${architecture}, this machine is ${wanted.os}/${wanted.architecture}`);
  if (config.diffIds.length !== layers)
    throw refuse(`mismatched image rootfs and manifest layers: ${config.diffIds.length} diff_ids, ${layers} layers`);
}
