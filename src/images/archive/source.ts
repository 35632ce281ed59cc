import { closeSync, createReadStream, existsSync, openSync, readSync, rmSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { join, posix } from "node:path";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { type TarEntry, TarReader } from "#wire/tar/index.ts";
import { ImageFault } from "../errors.ts";
import type { Packing } from "../manifest.ts";

/** Files of an image archive or of a folder, by their names in it. */
export interface FileSource {
  has(name: string): boolean;
  /** In bytes. @throws ImageFault "NotFound" */
  size(name: string): number;
  stream(name: string): AsyncIterable<Buffer>;
  close(): void;
}

/** Bytes that a packed archive may have unpacked. */
const MAX_ARCHIVE = 64 * 1024 ** 3;
const MAX_ENTRIES = 100_000;
const CHUNK = 1024 * 1024;

const refuse = (words: string) => new ImageFault("Refused", words);

/** How a file is packed, by its first bytes (RFC 1952, RFC 8878). */
export function packingByMagic(head: Uint8Array): Packing {
  if (head[0] === 0x1f && head[1] === 0x8b) return "gzip";
  return head[0] === 0x28 && head[1] === 0xb5 && head[2] === 0x2f && head[3] === 0xfd ? "zstd" : "none";
}

/** Reads a small file of a source. @throws ImageFault */
export async function readSmall(source: FileSource, name: string, max: number): Promise<Buffer> {
  if (source.size(name) > max) throw refuse(`${name} of the archive has more than ${max} bytes`);
  const chunks: Buffer[] = [];
  for await (const chunk of source.stream(name)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** A folder. */
export class FolderSource implements FileSource {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  has(name: string): boolean {
    return existsSync(this.#file(name));
  }

  size(name: string): number {
    const stat = statSync(this.#file(name), { throwIfNoEntry: false });
    if (!stat?.isFile()) throw new ImageFault("NotFound", `${this.#file(name)} is not there`);
    return stat.size;
  }

  stream(name: string): AsyncIterable<Buffer> {
    return createReadStream(this.#file(name), { highWaterMark: CHUNK });
  }

  close(): void {
    // Nothing is kept open.
  }

  #file(name: string): string {
    if (posix.normalize(name).startsWith("..") || name.startsWith("/"))
      throw refuse(`${name} lies outside of the folder`);
    return join(this.#path, name);
  }
}

interface Place {
  readonly offset: number;
  readonly size: number;
}

/** A tar archive; one that is packed is unpacked into a file of its own first. */
export class TarSource implements FileSource {
  readonly #fd: number;
  readonly #places: ReadonlyMap<string, Place>;
  readonly #links: ReadonlyMap<string, string>;

  private constructor(fd: number, places: ReadonlyMap<string, Place>, links: ReadonlyMap<string, string>) {
    this.#fd = fd;
    this.#places = places;
    this.#links = links;
  }

  /**
   * Opens an archive.
   * @param scratch path of a file that may be made meanwhile
   * @throws ImageFault "Refused" for what is none
   */
  static async open(path: string, scratch: string): Promise<TarSource> {
    const fd = openSync(path, "r");
    const head = Buffer.alloc(4);
    readSync(fd, head, 0, 4, 0);
    const packing = packingByMagic(head);
    if (packing === "none") return TarSource.#index(fd, path);
    closeSync(fd);
    try {
      await unpackTo(path, packing, scratch);
      return await TarSource.#index(openSync(scratch, "r"), scratch);
    } finally {
      // The open descriptor keeps it.
      rmSync(scratch, { force: true });
    }
  }

  static async #index(fd: number, path: string): Promise<TarSource> {
    const places = new Map<string, Place>();
    const links = new Map<string, string>();
    const entry = ({ name, type, target, size }: TarEntry): void => {
      const clean = posix.normalize(name);
      if (type === "file") places.set(clean, { offset: reader.position, size });
      // Docker of old wrote a layer that two images share once, and links to it.
      else if (type === "symlink") links.set(clean, posix.join(posix.dirname(clean), target));
      else if (type === "link") links.set(clean, posix.normalize(target));
    };
    const nothing = (): void => undefined;
    const reader = new TarReader(
      { entry, data: nothing, end: nothing },
      { entries: MAX_ENTRIES, extended: 1024 * 1024 },
    );
    try {
      for await (const chunk of createReadStream(path, { highWaterMark: CHUNK })) reader.write(chunk as Buffer);
      reader.end();
    } catch (error) {
      closeSync(fd);
      throw refuse(`it is no image archive: ${(error as Error).message}`);
    }
    return new TarSource(fd, places, links);
  }

  has(name: string): boolean {
    return this.#find(name) !== undefined;
  }

  size(name: string): number {
    return this.#place(name).size;
  }

  async *stream(name: string): AsyncGenerator<Buffer> {
    const { offset, size } = this.#place(name);
    for (let at = 0; at < size; ) {
      const chunk = Buffer.alloc(Math.min(CHUNK, size - at));
      const count = readSync(this.#fd, chunk, 0, chunk.length, offset + at);
      if (count === 0) throw refuse(`${name} of the archive breaks off`);
      at += count;
      yield chunk.subarray(0, count);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  #find(name: string): Place | undefined {
    let clean = posix.normalize(name);
    for (let hops = 0; hops < 8; hops++) {
      const place = this.#places.get(clean);
      if (place) return place;
      const next = this.#links.get(clean);
      if (next === undefined) return undefined;
      clean = next;
    }
    return undefined;
  }

  #place(name: string): Place {
    const place = this.#find(name);
    if (!place) throw new ImageFault("NotFound", `the archive has no ${name}`);
    return place;
  }
}

async function unpackTo(path: string, packing: Packing, target: string): Promise<void> {
  const filter = packing === "gzip" ? createGunzip() : createZstdDecompress();
  const source = createReadStream(path);
  source.once("error", (error) => filter.destroy(error));
  const file = await open(target, "wx", 0o600);
  try {
    let bytes = 0;
    for await (const chunk of source.pipe(filter) as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > MAX_ARCHIVE) throw refuse(`the archive unpacks to more than ${MAX_ARCHIVE} bytes`);
      await file.write(chunk);
    }
  } catch (error) {
    throw error instanceof ImageFault ? error : refuse(`the archive cannot be unpacked: ${(error as Error).message}`);
  } finally {
    source.destroy();
    await file.close();
  }
}
