import { createHash } from "node:crypto";
import { createReadStream, mkdirSync, rmSync } from "node:fs";
import type { Readable } from "node:stream";
import { constants, createGunzip, createZstdDecompress } from "node:zlib";
import { TarError, TarReader } from "#wire/tar/index.ts";
import { ImageFault } from "../errors.ts";
import type { Packing } from "../manifest.ts";
import { LayerWriter } from "./layerWriter.ts";
import { defaultLimits, type LayerLimits } from "./limits.ts";
import { type Owners, ownersHere } from "./owners.ts";

/** A layer that is being unpacked. */
export interface UnpackRequest {
  /** The packed layer. */
  readonly file: string;
  readonly packing: Packing;
  /** Digest of the archive without its packing. */
  readonly diffId: string;
  /** Folder to make. */
  readonly folder: string;
}

/** Bytes taken from a file at once. */
const CHUNK = 256 * 1024;
/** zstd(1) and Docker stay below 8 MiB; a window larger than 128 MiB has to be asked for on purpose. */
const MAX_WINDOW_LOG = 27;

/** The archive's bytes, and how many packed ones they came from. */
function archive({ file, packing }: UnpackRequest): { stream: Readable; packed: () => number } {
  const source = createReadStream(file, { highWaterMark: CHUNK });
  const packed = () => source.bytesRead;
  if (packing === "none") return { stream: source, packed };
  const filter = packing === "gzip" ? createGunzip({ chunkSize: CHUNK }) : zstd();
  source.once("error", (error) => filter.destroy(error));
  filter.once("close", () => source.destroy());
  return { stream: source.pipe(filter), packed };
}

function zstd() {
  return createZstdDecompress({ chunkSize: CHUNK, params: { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG } });
}

/**
 * Unpacks a layer into a folder; leaves nothing behind when that fails.
 * @returns bytes of the files' contents
 * @throws ImageFault "Refused" naming the entry, or that the content is not what its digest says
 */
export async function unpackLayer(
  request: UnpackRequest,
  limits: LayerLimits = defaultLimits,
  owners: Owners = ownersHere(),
): Promise<number> {
  rmSync(request.folder, { recursive: true, force: true });
  mkdirSync(request.folder, { mode: 0o755 });
  const writer = new LayerWriter(request.folder, limits, owners);
  try {
    await readInto(writer, request, limits);
    writer.finish();
    return writer.bytes;
  } catch (error) {
    writer.abandon();
    rmSync(request.folder, { recursive: true, force: true });
    throw asRefusal(error);
  }
}

async function readInto(writer: LayerWriter, request: UnpackRequest, limits: LayerLimits): Promise<void> {
  const reader = new TarReader(writer, { entries: limits.entries, extended: 1024 * 1024 });
  const hash = createHash("sha256");
  const { stream, packed } = archive(request);
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > limits.ratioFrom && bytes > limits.ratio * packed())
      throw new ImageFault("Refused", `the layer's ${packed()} bytes unpack to more than ${bytes}: that is no image`);
    // What follows the archive's end counts for the digest too, and for nothing else.
    if (bytes > limits.bytes * 2) throw new ImageFault("Refused", `the layer unpacks to more than ${bytes} bytes`);
    hash.update(chunk);
    reader.write(chunk);
  }
  reader.end();
  const found = `sha256:${hash.digest("hex")}`;
  if (found !== request.diffId)
    throw new ImageFault(
      "Refused",
      `wrong diff id calculated on extraction "${found}", the image says "${request.diffId}"`,
    );
}

function asRefusal(error: unknown): unknown {
  if (error instanceof ImageFault) return error;
  const { code = "", message } = error as NodeJS.ErrnoException;
  if (error instanceof TarError) return new ImageFault("Refused", `the layer cannot be read: ${message}`, error);
  if (code.startsWith("Z_") || code.startsWith("ZSTD_"))
    return new ImageFault("Refused", `the layer cannot be unpacked: ${message}`, error);
  return new ImageFault("Failed", `the layer could not be written: ${message}`, error);
}
