import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import { spdyDictionary } from "./dictionary.ts";
import { SpdyError } from "./errors.ts";

/** Headers of a stream: lower-case names, one value each (several values are joined by NUL on the wire). */
export type SpdyHeaders = Readonly<Record<string, string>>;

/** Largest header block that is taken, in bytes once unpacked. */
const MAX_BLOCK = 64 * 1024;
/** How far back compressed data may refer (RFC 1951). */
const WINDOW = 32 * 1024;
/** zlib's two bytes for a window of 32 KiB, the default level and a preset dictionary (RFC 1950). */
const ZLIB_HEAD = Buffer.of(0x78, 0xbb);
const DICTIONARY_ID = Buffer.of(0xe3, 0xc6, 0xa7, 0xc2);
const PRESET_DICTIONARY = 0x20;

const flush = { finishFlush: constants.Z_SYNC_FLUSH } as const;

/**
 * One direction's header blocks are one zlib stream, flushed to a byte after each block. After such a flush nothing
 * of the compressor's state matters but the text that it may refer to; so each block is packed and unpacked on its
 * own, with that text as the dictionary, and nothing has to be asynchronous.
 */
class History {
  #text = spdyDictionary();
  first = true;

  get text(): Buffer {
    return this.#text;
  }

  add(block: Buffer): void {
    this.first = false;
    this.#text = Buffer.concat([this.#text, block]).subarray(-WINDOW);
  }
}

/** Packs the header blocks of one direction. */
export class HeaderPacker {
  readonly #history = new History();

  pack(headers: SpdyHeaders): Buffer {
    const block = encodeBlock(headers);
    const packed = deflateRawSync(block, { ...flush, dictionary: this.#history.text });
    const head = this.#history.first ? [ZLIB_HEAD, DICTIONARY_ID] : [];
    this.#history.add(block);
    return Buffer.concat([...head, packed]);
  }
}

/** Unpacks the header blocks of one direction, in the order in which they came. */
export class HeaderUnpacker {
  readonly #history = new History();

  /** @throws SpdyError for what is not a header block; none can be read after it */
  unpack(packed: Buffer): SpdyHeaders {
    const raw = this.#history.first ? afterZlibHead(packed) : packed;
    const block = this.#inflate(raw);
    this.#history.add(block);
    return decodeBlock(block);
  }

  #inflate(raw: Buffer): Buffer {
    try {
      return inflateRawSync(raw, { ...flush, dictionary: this.#history.text, maxOutputLength: MAX_BLOCK });
    } catch {
      throw new SpdyError("a header block cannot be unpacked");
    }
  }
}

function afterZlibHead(packed: Buffer): Buffer {
  const [method = 0, flags = 0] = packed;
  if ((method & 0x0f) !== 8 || (method * 256 + flags) % 31 !== 0) throw new SpdyError("headers are not zlib's");
  if ((flags & PRESET_DICTIONARY) === 0) return packed.subarray(2);
  if (!packed.subarray(2, 6).equals(DICTIONARY_ID)) throw new SpdyError("headers have another dictionary than SPDY's");
  return packed.subarray(6);
}

/** A name/value block, not packed (2.6.10). */
export function encodeBlock(headers: SpdyHeaders): Buffer {
  const entries = Object.entries(headers);
  const parts = [number(entries.length)];
  for (const [name, value] of entries) {
    for (const text of [Buffer.from(name.toLowerCase()), Buffer.from(value)]) parts.push(number(text.length), text);
  }
  return Buffer.concat(parts);
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Reads a name/value block. @throws SpdyError */
export function decodeBlock(block: Buffer): SpdyHeaders {
  let at = 0;
  const take = (length: number): Buffer => {
    if (at + length > block.length) throw new SpdyError("a header block is cut off");
    at += length;
    return block.subarray(at - length, at);
  };
  const text = () => take(take(4).readUInt32BE()).toString();
  const count = take(4).readUInt32BE();
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  for (let i = 0; i < count; i++) {
    const name = text();
    if (name === "" || name !== name.toLowerCase()) throw new SpdyError(`bad header name ${JSON.stringify(name)}`);
    if (name in headers) throw new SpdyError(`header ${JSON.stringify(name)} comes twice`);
    headers[name] = text();
  }
  if (at !== block.length) throw new SpdyError("a header block is longer than its headers");
  return headers;
}
