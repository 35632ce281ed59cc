import { createHash, randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import { join } from "node:path";
import { type Bringing, bringImage, type Wanted } from "../bring.ts";
import { checkDigest, digestOf, hexOf } from "../digest.ts";
import { ImageFault } from "../errors.ts";
import {
  choosePlatform,
  type Descriptor,
  isIndex,
  MANIFEST_TYPES,
  MAX_DOCUMENT,
  ownPlatform,
  parseManifest,
  parseObject,
} from "../manifest.ts";
import { formatReference, parseWithTag } from "../reference.ts";
import type { ImageRecord } from "../store/index.ts";
import { type FileSource, FolderSource, packingByMagic, readSmall, TarSource } from "./source.ts";

/** Where an archive keeps a blob. */
type BlobNames = (descriptor: Descriptor) => string;

interface Found {
  readonly wanted: Wanted;
  readonly nameOf: BlobNames;
}

const MAX_IMAGES = 100;
const DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar";

const refuse = (words: string) => new ImageFault("Refused", words);

/**
 * Loads the images of an OCI layout (a folder, or an archive of one) or of `docker save`.
 * @param name for a single image that has none, or in place of its own
 * @throws ImageFault
 */
export async function loadImages(path: string, name: string | undefined, to: Bringing): Promise<ImageRecord[]> {
  const source = await openSource(path, to);
  try {
    const found = await imagesOf(source, name, to);
    return await to.store.bringing(async () => {
      const records: ImageRecord[] = [];
      for (const { wanted, nameOf } of found)
        records.push(await bringImage(wanted, { blob: (descriptor) => source.stream(nameOf(descriptor)) }, to));
      return records;
    });
  } catch (error) {
    if (error instanceof ImageFault) throw new ImageFault(error.code, `${path}: ${error.message}`, error);
    throw error;
  } finally {
    source.close();
  }
}

async function openSource(path: string, { store }: Bringing): Promise<FileSource> {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) throw new ImageFault("NotFound", `${path}: no such file or directory`);
  if (stat.isDirectory()) return new FolderSource(path);
  return TarSource.open(path, join(store.layout.partial, `load-${randomBytes(8).toString("hex")}`));
}

async function imagesOf(source: FileSource, name: string | undefined, to: Bringing): Promise<Found[]> {
  if (source.has("manifest.json")) return dockerImages(source, name);
  if (source.has("index.json")) return ociImages(source, name, to);
  throw refuse("it is neither an OCI layout (index.json) nor an archive of docker save (manifest.json)");
}

const ociName: BlobNames = ({ digest }) => `blobs/sha256/${hexOf(digest)}`;

/** Images of an OCI layout (image-spec image-layout.md). */
async function ociImages(source: FileSource, name: string | undefined, to: Bringing): Promise<Found[]> {
  const index = parseObject(await readSmall(source, "index.json", MAX_DOCUMENT), "index.json");
  const entries = (Array.isArray(index["manifests"]) ? index["manifests"] : []) as Record<string, unknown>[];
  if (entries.length === 0 || entries.length > MAX_IMAGES) throw refuse(`index.json names ${entries.length} images`);
  if (name !== undefined && entries.length > 1)
    throw refuse(`it holds ${entries.length} images: one name cannot stand for all of them`);
  const found: Found[] = [];
  for (const entry of entries) {
    const names = name ?? annotatedName(entry["annotations"]);
    found.push({ wanted: await ociManifest(source, entry, formatReference(parseWithTag(names)), to), nameOf: ociName });
  }
  return found;
}

function annotatedName(annotations: unknown): string {
  const all = (typeof annotations === "object" && annotations !== null ? annotations : {}) as Record<string, unknown>;
  const name = all["io.containerd.image.name"] ?? all["org.opencontainers.image.ref.name"];
  // A tag alone says nothing of the repository.
  if (typeof name !== "string" || !/[/:]/.test(name))
    throw refuse(
      `its image has no name${typeof name === "string" ? ` but the tag ${JSON.stringify(name)}` : ""}; give one by --name`,
    );
  return name;
}

async function ociManifest(source: FileSource, entry: unknown, name: string, to: Bringing): Promise<Wanted> {
  const platform = to.platform ?? ownPlatform();
  // A single entry is chosen whatever platform it names; the configuration is checked later.
  const first = choosePlatform({ manifests: [{ ...(entry as object), platform: undefined }] }, platform, name);
  let chosen = first;
  for (let depth = 0; depth < 4; depth++) {
    const bytes = await readSmall(source, ociName(chosen), MAX_DOCUMENT);
    checkDigest(digestOf(bytes), chosen.digest);
    const document = parseObject(bytes, "the manifest");
    if (!isIndex(document))
      return {
        name,
        digest: first.digest,
        manifestDigest: chosen.digest,
        manifestBytes: bytes,
        manifest: parseManifest(document),
      };
    to.store.blobs.put(chosen.digest, bytes);
    chosen = choosePlatform(document, platform, name);
  }
  throw refuse("indexes of indexes of indexes lead to no manifest");
}

/** Images of `docker save` (moby, image/tarexport). */
async function dockerImages(source: FileSource, name: string | undefined): Promise<Found[]> {
  const text = (await readSmall(source, "manifest.json", MAX_DOCUMENT)).toString("utf8");
  const images = parseList(text);
  const found: Found[] = [];
  for (const { Config, RepoTags, Layers } of images) {
    const names = name !== undefined ? [name] : (RepoTags ?? []);
    if (names.length === 0) throw refuse("an image of it has no name; give one by --name");
    const { wanted, nameOf } = await dockerManifest(source, Config, Layers);
    for (const given of names)
      found.push({ wanted: { ...wanted, name: formatReference(parseWithTag(given)) }, nameOf });
  }
  if (name !== undefined && images.length > 1)
    throw refuse(`it holds ${images.length} images: one name cannot stand for all of them`);
  return found;
}

interface DockerImage {
  readonly Config: string;
  readonly RepoTags?: readonly string[] | null;
  readonly Layers: readonly string[];
}

function parseList(text: string): DockerImage[] {
  const list: unknown = parseObject(Buffer.from(`{"list":${text}}`), "manifest.json")["list"];
  const isText = (value: unknown): value is string => typeof value === "string";
  const isImage = (value: unknown): value is DockerImage => {
    const { Config, RepoTags, Layers } = (value ?? {}) as Record<string, unknown>;
    const named = RepoTags === undefined || RepoTags === null || (Array.isArray(RepoTags) && RepoTags.every(isText));
    return isText(Config) && Array.isArray(Layers) && Layers.every(isText) && named;
  };
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_IMAGES || !list.every(isImage))
    throw refuse("manifest.json is not one of docker save");
  return list;
}

/** A manifest for what docker save writes without one. */
async function dockerManifest(source: FileSource, config: string, layers: readonly string[]): Promise<Found> {
  const names = new Map<string, string>();
  const configBytes = await readSmall(source, config, MAX_DOCUMENT);
  const describe = (name: string, mediaType: string, digest: string): Descriptor => {
    names.set(digest, name);
    return { mediaType, digest, size: source.size(name) };
  };
  const described: Descriptor[] = [];
  for (const layer of layers) {
    const { digest, packing } = await look(source, layer);
    described.push(describe(layer, packing === "none" ? DOCKER_LAYER : `${DOCKER_LAYER}.${packing}`, digest));
  }
  const manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST_TYPES.dockerManifest,
    config: describe(config, "application/vnd.docker.container.image.v1+json", digestOf(configBytes)),
    layers: described,
  };
  const manifestBytes = Buffer.from(JSON.stringify(manifest));
  const digest = digestOf(manifestBytes);
  const nameOf: BlobNames = (descriptor) => names.get(descriptor.digest) ?? "";
  return {
    wanted: { name: "", digest, manifestDigest: digest, manifestBytes, manifest: parseManifest(manifest) },
    nameOf,
  };
}

async function look(source: FileSource, name: string) {
  const hash = createHash("sha256");
  let packing: ReturnType<typeof packingByMagic> | undefined;
  for await (const chunk of source.stream(name)) {
    packing ??= packingByMagic(chunk);
    hash.update(chunk);
  }
  return { digest: `sha256:${hash.digest("hex")}`, packing: packing ?? "none" };
}
