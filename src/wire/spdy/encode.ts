import { CONTROL, FLAG, SPDY_VERSION } from "./constants.ts";
import type { SpdyFrame } from "./frames.ts";
import { HeaderPacker } from "./headers.ts";

/** Writes the frames of one direction: header blocks depend on those before them. */
export class FrameEncoder {
  readonly #packer = new HeaderPacker();

  /** Bytes of a frame. A data frame's data may have 16 MiB − 1 at most. */
  encode(frame: SpdyFrame): Buffer {
    switch (frame.type) {
      case "synStream": {
        const flags = (frame.fin ? FLAG.fin : 0) | (frame.unidirectional ? FLAG.unidirectional : 0);
        const start = words(frame.stream, frame.associated, (frame.priority << 29) >>> 0).subarray(0, 10);
        return control(CONTROL.synStream, flags, start, this.#packer.pack(frame.headers));
      }
      case "synReply":
      case "headers": {
        const packed = this.#packer.pack(frame.headers);
        return control(CONTROL[frame.type], frame.fin ? FLAG.fin : 0, words(frame.stream), packed);
      }
      case "rstStream":
        return control(CONTROL.rstStream, 0, words(frame.stream, frame.status));
      case "settings": {
        const entries = frame.settings.flatMap(({ id, flags, value }) => [((flags << 24) | id) >>> 0, value]);
        return control(
          CONTROL.settings,
          frame.clear ? FLAG.clearSettings : 0,
          words(frame.settings.length, ...entries),
        );
      }
      case "ping":
        return control(CONTROL.ping, 0, words(frame.id));
      case "goAway":
        return control(CONTROL.goAway, 0, words(frame.lastStream, frame.status));
      case "windowUpdate":
        return control(CONTROL.windowUpdate, 0, words(frame.stream, frame.delta));
      case "data":
        return Buffer.concat([dataHead(frame.stream, frame.data.length, frame.fin), frame.data]);
    }
  }
}

/** What stands before the data of a data frame. */
export function dataHead(stream: number, length: number, fin: boolean): Buffer {
  return words(stream, (((fin ? FLAG.fin : 0) << 24) | length) >>> 0);
}

function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value, i * 4);
  return bytes;
}

function control(type: number, flags: number, ...parts: readonly Buffer[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const head = words((0x80000000 | (SPDY_VERSION << 16) | type) >>> 0, ((flags << 24) | length) >>> 0);
  return Buffer.concat([head, ...parts]);
}
