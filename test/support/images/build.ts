import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import { type TarHeader, tarEnd, tarHeader } from "./tar.ts";

/** A file of a layer. */
export interface LayerFile extends Omit<TarHeader, "size"> {
  readonly content?: string | Buffer;
  /** Records of a pax header before it. */
  readonly pax?: Readonly<Record<string, string | Buffer>>;
}

/** How a layer is packed. */
export type Packing = "none" | "gzip" | "zstd";

/** A blob and what points to it. */
export interface Blob {
  readonly bytes: Buffer;
  readonly mediaType: string;
  readonly digest: string;
}

/** An image built by a test. */
export interface BuiltImage {
  readonly manifest: Blob;
  readonly config: Blob;
  readonly layers: readonly Blob[];
}

export const digestOf = (bytes: Buffer): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

function pad(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

function paxRecords(records: Readonly<Record<string, string | Buffer>>): Buffer {
  const parts = Object.entries(records).map(([key, value]) => {
    const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from("\n")]);
    // The length counts itself.
    let length = rest.length;
    while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
    return Buffer.concat([Buffer.from(String(length)), rest]);
  });
  return Buffer.concat(parts);
}

/** A tar archive of files. */
export function tarOf(files: readonly LayerFile[]): Buffer {
  const parts = files.flatMap(({ content = "", pax, ...header }) => {
    const bytes = Buffer.from(content);
    const extended = pax ? paxRecords(pax) : undefined;
    return [
      ...(extended ? [tarHeader({ name: "pax", type: "x", size: extended.length }), pad(extended)] : []),
      tarHeader({ ...header, size: bytes.length }),
      pad(bytes),
    ];
  });
  return Buffer.concat([...parts, tarEnd()]);
}

/** A folder of a layer. */
export function folder(name: string, header: Partial<LayerFile> = {}): LayerFile {
  return { name: `${name}/`, type: "5", mode: 0o755, ...header };
}

const TYPES: Readonly<Record<Packing, string>> = {
  none: "application/vnd.oci.image.layer.v1.tar",
  gzip: "application/vnd.oci.image.layer.v1.tar+gzip",
  zstd: "application/vnd.oci.image.layer.v1.tar+zstd",
};

function pack(bytes: Buffer, packing: Packing): Buffer {
  if (packing === "none") return bytes;
  return packing === "gzip"
    ? gzipSync(bytes)
    : zstdCompressSync(bytes, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
}

/** A blob of bytes. */
export function blob(bytes: Buffer, mediaType: string): Blob {
  return { bytes, mediaType, digest: digestOf(bytes) };
}

const json = (value: unknown) => Buffer.from(JSON.stringify(value));

/** What a manifest says of a blob. */
export function descriptor({ bytes, mediaType, digest }: Blob) {
  return { mediaType, digest, size: bytes.length };
}

/** The architecture of this machine as images name it. */
export const architecture = process.arch === "arm64" ? "arm64" : "amd64";

/**
 * Builds an image.
 * @param layers archives, the lowest first
 * @param config the part `config` of its configuration: Cmd, Env, User, …
 */
export function buildImage(
  layers: readonly { readonly files?: readonly LayerFile[]; readonly tar?: Buffer; readonly packing?: Packing }[],
  config: Readonly<Record<string, unknown>> = {},
  more: Readonly<Record<string, unknown>> = {},
): BuiltImage {
  const tars = layers.map(({ files = [], tar }) => tar ?? tarOf(files));
  const packed = layers.map(({ packing = "gzip" }, i) => blob(pack(tars[i] as Buffer, packing), TYPES[packing]));
  const document = {
    architecture,
    os: "linux",
    created: "2026-01-02T03:04:05Z",
    config,
    rootfs: { type: "layers", diff_ids: tars.map(digestOf) },
    ...more,
  };
  const configBlob = blob(json(document), "application/vnd.oci.image.config.v1+json");
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = { schemaVersion: 2, mediaType, config: descriptor(configBlob), layers: packed.map(descriptor) };
  return { manifest: blob(json(manifest), mediaType), config: configBlob, layers: packed };
}

/** An index of images for several platforms. */
export function buildIndex(entries: readonly { readonly image: BuiltImage; readonly architecture: string }[]): Blob {
  const mediaType = "application/vnd.oci.image.index.v1+json";
  const manifests = entries.map(({ image, architecture: arch }) => ({
    ...descriptor(image.manifest),
    platform: { os: "linux", architecture: arch },
  }));
  return blob(json({ schemaVersion: 2, mediaType, manifests }), mediaType);
}

/** Writes an OCI layout (image-spec image-layout.md). @param name annotation of the name; none when absent */
export function writeLayout(path: string, { manifest, config, layers }: BuiltImage, name?: string): void {
  mkdirSync(join(path, "blobs/sha256"), { recursive: true });
  for (const part of [manifest, config, ...layers])
    writeFileSync(join(path, "blobs/sha256", part.digest.slice("sha256:".length)), part.bytes);
  const annotations = name === undefined ? {} : { annotations: { "org.opencontainers.image.ref.name": name } };
  writeFileSync(join(path, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  writeFileSync(
    join(path, "index.json"),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...descriptor(manifest), ...annotations }] }),
  );
}

/** An archive as `docker save` of old wrote it: layers without packing. */
export function dockerArchive(
  layers: readonly (readonly LayerFile[])[],
  config: Readonly<Record<string, unknown>>,
  tags: readonly string[],
): Buffer {
  const tars = layers.map((files) => tarOf(files));
  const document = json({
    architecture,
    os: "linux",
    config,
    rootfs: { type: "layers", diff_ids: tars.map(digestOf) },
  });
  const names = tars.map((_, i) => `layer${i}/layer.tar`);
  const manifest = json([{ Config: "config.json", RepoTags: tags, Layers: names }]);
  return tarOf([
    { name: "config.json", content: document },
    { name: "manifest.json", content: manifest },
    ...tars.map((tar, i) => ({ name: names[i] as string, content: tar })),
  ]);
}
