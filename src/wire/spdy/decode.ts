import { CONTROL, FLAG, MAX_31, SPDY_VERSION } from "./constants.ts";
import { SpdyError } from "./errors.ts";
import type { SpdyFrame, SpdySetting } from "./frames.ts";
import { HeaderUnpacker } from "./headers.ts";

const HEAD = 8;
/** Longest control frame that is taken, in bytes. */
const MAX_CONTROL = 64 * 1024;

/** The data frame whose rest is on its way. */
interface OpenData {
  readonly stream: number;
  readonly fin: boolean;
  left: number;
}

/**
 * Reads the frames of one direction out of a byte stream that comes in pieces of any size. Data is never held back:
 * of a long data frame each piece is given as it comes, `fin` with the last.
 */
export class FrameDecoder {
  readonly #unpacker = new HeaderUnpacker();
  #rest: Buffer = Buffer.alloc(0);
  #data: OpenData | undefined;

  /** @throws SpdyError when the bytes are no frames; nothing can be read after it */
  push(bytes: Buffer): SpdyFrame[] {
    let input = this.#rest.length > 0 ? Buffer.concat([this.#rest, bytes]) : bytes;
    const frames: SpdyFrame[] = [];
    for (;;) {
      const taken = this.#data ? this.#takeData(input, this.#data, frames) : this.#takeFrame(input, frames);
      if (taken === 0) break;
      input = input.subarray(taken);
    }
    this.#rest = input;
    return frames;
  }

  #takeData(input: Buffer, open: OpenData, frames: SpdyFrame[]): number {
    const data = input.subarray(0, open.left);
    if (data.length === 0) return 0;
    open.left -= data.length;
    const last = open.left === 0;
    if (last) this.#data = undefined;
    frames.push({ type: "data", stream: open.stream, fin: last && open.fin, data });
    return data.length;
  }

  #takeFrame(input: Buffer, frames: SpdyFrame[]): number {
    if (input.length < HEAD) return 0;
    const first = input.readUInt32BE(0);
    const flags = input.readUInt8(4);
    const length = input.readUIntBE(5, 3);
    if (first <= MAX_31) {
      this.#beginData(first, flags, length, frames);
      return HEAD;
    }
    if (((first >>> 16) & 0x7fff) !== SPDY_VERSION) throw new SpdyError("a frame of another version than SPDY/3");
    if (length > MAX_CONTROL) throw new SpdyError(`a control frame of ${length} bytes`);
    if (input.length < HEAD + length) return 0;
    const frame = this.#control(first & 0xffff, flags, input.subarray(HEAD, HEAD + length));
    if (frame) frames.push(frame);
    return HEAD + length;
  }

  #beginData(stream: number, flags: number, length: number, frames: SpdyFrame[]): void {
    if (stream === 0) throw new SpdyError("data of no stream");
    const fin = (flags & FLAG.fin) !== 0;
    if (length > 0) this.#data = { stream, fin, left: length };
    else frames.push({ type: "data", stream, fin, data: Buffer.alloc(0) });
  }

  /** @returns undefined for a type that is not known: such frames are passed over (2.2.1) */
  #control(type: number, flags: number, body: Buffer): SpdyFrame | undefined {
    const word = (index: number): number => {
      if (body.length < index * 4 + 4) throw new SpdyError(`a control frame of type ${type} is cut off`);
      return body.readUInt32BE(index * 4);
    };
    const id = (index: number) => word(index) & MAX_31;
    const fin = (flags & FLAG.fin) !== 0;
    switch (type) {
      case CONTROL.synStream:
        return this.#synStream(flags, body, idOf(id(0)), id(1));
      case CONTROL.synReply:
        return { type: "synReply", stream: idOf(id(0)), fin, headers: this.#unpacker.unpack(body.subarray(4)) };
      case CONTROL.headers:
        return { type: "headers", stream: idOf(id(0)), fin, headers: this.#unpacker.unpack(body.subarray(4)) };
      case CONTROL.rstStream:
        return { type: "rstStream", stream: idOf(id(0)), status: word(1) };
      case CONTROL.settings:
        return { type: "settings", clear: (flags & FLAG.clearSettings) !== 0, settings: settingsOf(word) };
      case CONTROL.ping:
        return { type: "ping", id: word(0) };
      case CONTROL.goAway:
        return { type: "goAway", lastStream: id(0), status: word(1) };
      case CONTROL.windowUpdate:
        return { type: "windowUpdate", stream: id(0), delta: idOf(id(1)) };
      default:
        return undefined;
    }
  }

  #synStream(flags: number, body: Buffer, stream: number, associated: number): SpdyFrame {
    if (body.length < 10) throw new SpdyError("a SYN_STREAM is cut off");
    return {
      type: "synStream",
      stream,
      associated,
      priority: body.readUInt8(8) >> 5,
      fin: (flags & FLAG.fin) !== 0,
      unidirectional: (flags & FLAG.unidirectional) !== 0,
      headers: this.#unpacker.unpack(body.subarray(10)),
    };
  }
}

/** Ids and deltas are never 0. */
function idOf(value: number): number {
  if (value === 0) throw new SpdyError("a number that may not be 0 is 0");
  return value;
}

function settingsOf(word: (index: number) => number): SpdySetting[] {
  const count = word(0);
  const settings: SpdySetting[] = [];
  for (let i = 0; i < count; i++) {
    const first = word(1 + 2 * i);
    settings.push({ id: first & 0xffffff, flags: first >>> 24, value: word(2 + 2 * i) });
  }
  return settings;
}
