import { BLOCK, isZero, parseHeader, type RawHeader, TarError } from "./header.ts";
import { type PaxRecords, parsePax, paxNumber } from "./pax.ts";

export { TarError } from "./header.ts";

/** Kinds of entries. */
export type TarType = "file" | "link" | "symlink" | "character" | "block" | "folder" | "fifo";

/** One file, folder or link of an archive. Texts are bytes as latin1, as file systems know no encoding. */
export interface TarEntry {
  readonly name: string;
  readonly type: TarType;
  /** Permissions: the lower twelve bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of content that follow. */
  readonly size: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  /** What a link points to. */
  readonly target: string;
  readonly xattrs: Readonly<Record<string, Buffer>>;
}

/** Who is told of what an archive holds; an error thrown by it ends the reading. */
export interface TarHandler {
  entry(entry: TarEntry): void;
  /** A piece of the last entry's content; the buffer is the handler's only during the call. */
  data(chunk: Buffer): void;
  /** The last entry is complete. */
  end(): void;
}

/** Bounds of what an archive may make its reader hold. */
export interface TarLimits {
  /** Entries, extended headers included. */
  readonly entries: number;
  /** Bytes of an extended header or of a long name. */
  readonly extended: number;
}

const TYPES: Readonly<Record<string, TarType>> = {
  "0": "file",
  "\0": "file",
  "7": "file",
  "1": "link",
  "2": "symlink",
  "3": "character",
  "4": "block",
  "5": "folder",
  "6": "fifo",
};
const XATTR = "SCHILY.xattr.";

/** What the bytes being read are. */
type Part = "header" | "content" | "extended" | "padding" | "over";

/**
 * Reads an archive from pieces of any size: ustar, GNU's long names and base-256 numbers, pax headers with xattrs
 * (tar(5)). Sparse files are refused. Everything that is held is bounded.
 */
export class TarReader {
  readonly #handler: TarHandler;
  readonly #limits: TarLimits;
  #part: Part = "header";
  /** Bytes that the present part still lacks. */
  #left = BLOCK;
  #held: Buffer[] = [];
  #padding = 0;
  #extended = "";
  #entries = 0;
  #position = 0;
  #zeros = 0;
  #longName: string | undefined;
  #longTarget: string | undefined;
  #pax: PaxRecords = {};
  #global: PaxRecords = {};

  constructor(handler: TarHandler, limits: TarLimits = { entries: 1_000_000, extended: 1024 * 1024 }) {
    this.#handler = handler;
    this.#limits = limits;
  }

  /** Bytes taken so far; while the handler hears of an entry: where its content begins. */
  get position(): number {
    return this.#position;
  }

  /** Takes the next piece. @throws TarError, and what the handler throws */
  write(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0 && this.#part !== "over") {
      const piece = rest.subarray(0, this.#left);
      rest = rest.subarray(piece.length);
      this.#position += piece.length;
      this.#left -= piece.length;
      if (this.#part === "content") this.#handler.data(piece);
      else if (this.#part !== "padding") this.#held.push(Buffer.from(piece));
      if (this.#left === 0) this.#complete();
    }
  }

  /** The archive's end. @throws TarError when it breaks off inside of an entry */
  end(): void {
    const between = this.#part === "header" && this.#left === BLOCK;
    if (this.#part !== "over" && !between) throw new TarError("the archive breaks off: unexpected EOF");
  }

  #complete(): void {
    if (this.#part === "header") return this.#header();
    if (this.#part === "content") return this.#ended();
    if (this.#part === "extended") this.#takeExtended(Buffer.concat(this.#held));
    if (this.#part === "extended" && this.#padding > 0) return this.#next("padding", this.#padding);
    this.#next("header", BLOCK);
  }

  #ended(): void {
    this.#handler.end();
    if (this.#padding > 0) this.#next("padding", this.#padding);
    else this.#next("header", BLOCK);
  }

  #next(part: Part, length: number): void {
    this.#part = part;
    this.#left = length;
    this.#held = [];
  }

  #header(): void {
    const block = Buffer.concat(this.#held);
    if (isZero(block)) {
      this.#zeros++;
      return this.#next(this.#zeros >= 2 ? "over" : "header", BLOCK);
    }
    this.#zeros = 0;
    if (++this.#entries > this.#limits.entries)
      throw new TarError(`the archive has more than ${this.#limits.entries} entries`);
    const raw = parseHeader(block);
    if ("xgLK".includes(raw.type)) return this.#beginExtended(raw);
    this.#begin(raw);
  }

  #beginExtended({ type, size }: RawHeader): void {
    if (size > this.#limits.extended)
      throw new TarError(`an extended header of ${size} bytes; allowed are ${this.#limits.extended}`);
    this.#extended = type;
    this.#padding = padding(size);
    if (size === 0) return this.#next("header", BLOCK);
    this.#next("extended", size);
  }

  #takeExtended(bytes: Buffer): void {
    const words = () => bytes.toString("latin1").replace(/\0.*$/s, "");
    if (this.#extended === "L") this.#longName = words();
    else if (this.#extended === "K") this.#longTarget = words();
    else if (this.#extended === "g") this.#global = { ...this.#global, ...parsePax(bytes) };
    else this.#pax = { ...this.#pax, ...parsePax(bytes) };
  }

  #begin(raw: RawHeader): void {
    const records: PaxRecords = { ...this.#global, ...this.#pax };
    const entry = this.#entry(raw, records);
    this.#pax = {};
    this.#longName = undefined;
    this.#longTarget = undefined;
    this.#padding = padding(entry.size);
    this.#handler.entry(entry);
    if (entry.size > 0) return this.#next("content", entry.size);
    this.#padding = 0;
    this.#ended();
  }

  #entry(raw: RawHeader, records: PaxRecords): TarEntry {
    const latin = (keyword: string) => records[keyword]?.toString("latin1");
    const name = latin("path") ?? this.#longName ?? raw.name;
    const type = TYPES[raw.type];
    if (raw.type === "S" || Object.keys(records).some((key) => key.startsWith("GNU.sparse.")))
      throw new TarError(`${JSON.stringify(name)} is a sparse file, which is not taken`);
    if (!type) throw new TarError(`${JSON.stringify(name)} is of an unknown type ${JSON.stringify(raw.type)}`);
    const size = paxNumber(records, "size") ?? raw.size;
    if (size < 0 || !Number.isSafeInteger(size)) throw new TarError(`${JSON.stringify(name)} has a wrong size`);
    const xattrs = Object.entries(records)
      .filter(([key]) => key.startsWith(XATTR))
      .map(([key, value]): [string, Buffer] => [key.slice(XATTR.length), value]);
    return {
      name,
      // As tar(1) of old wrote folders.
      type: type === "file" && name.endsWith("/") ? "folder" : type,
      mode: raw.mode,
      uid: paxNumber(records, "uid") ?? raw.uid,
      gid: paxNumber(records, "gid") ?? raw.gid,
      size: type === "file" ? size : 0,
      mtime: Math.max(0, paxNumber(records, "mtime") ?? raw.mtime),
      target: latin("linkpath") ?? this.#longTarget ?? raw.linkname,
      xattrs: Object.fromEntries(xattrs),
    };
  }
}

function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}
