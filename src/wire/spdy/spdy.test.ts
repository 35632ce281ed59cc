import { constants, createDeflate, createInflate } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { spdyDictionary } from "./dictionary.ts";
import { decodeBlock, encodeBlock, HeaderPacker, HeaderUnpacker } from "./headers.ts";
import { FrameDecoder, FrameEncoder, SpdyError, type SpdyFrame } from "./index.ts";

const word31 = fc.integer({ min: 1, max: 0x7fffffff });
const word32 = fc.integer({ min: 0, max: 0xffffffff });
const headers = fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9:-]{0,20}$/), fc.string({ maxLength: 60 }), {
  maxKeys: 8,
  noNullPrototype: true,
});
const frame: fc.Arbitrary<SpdyFrame> = fc.oneof(
  fc.record({
    type: fc.constant("synStream" as const),
    stream: word31,
    associated: fc.integer({ min: 0, max: 0x7fffffff }),
    priority: fc.integer({ min: 0, max: 7 }),
    fin: fc.boolean(),
    unidirectional: fc.boolean(),
    headers,
  }),
  fc.record({ type: fc.constant("synReply" as const), stream: word31, fin: fc.boolean(), headers }),
  fc.record({ type: fc.constant("headers" as const), stream: word31, fin: fc.boolean(), headers }),
  fc.record({ type: fc.constant("rstStream" as const), stream: word31, status: word32 }),
  fc.record({ type: fc.constant("ping" as const), id: word32 }),
  fc.record({ type: fc.constant("goAway" as const), lastStream: word31, status: word32 }),
  fc.record({ type: fc.constant("windowUpdate" as const), stream: word31, delta: word31 }),
  fc.record({
    type: fc.constant("settings" as const),
    clear: fc.boolean(),
    settings: fc.array(
      fc.record({
        id: fc.integer({ min: 0, max: 0xffffff }),
        flags: fc.integer({ min: 0, max: 255 }),
        value: word32,
      }),
      { maxLength: 5 },
    ),
  }),
  fc.record({
    type: fc.constant("data" as const),
    stream: word31,
    fin: fc.boolean(),
    data: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  }),
);

/** One data frame where a decoder gave pieces. */
function joined(frames: readonly SpdyFrame[], lengths: readonly number[]): SpdyFrame[] {
  const out: SpdyFrame[] = [];
  const left = [...lengths];
  let open: Buffer[] = [];
  let size = 0;
  for (const one of frames) {
    if (one.type !== "data") {
      out.push(one);
      continue;
    }
    open.push(one.data);
    size += one.data.length;
    if (size < (left[0] ?? 0)) continue;
    out.push({ ...one, data: Buffer.concat(open) });
    open = [];
    size = 0;
    left.shift();
  }
  return out;
}

describe("SPDY/3.1 frames", () => {
  it("are read as they were written, in pieces of any size", () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 12 }), fc.integer({ min: 1, max: 64 }), (frames, size) => {
        const encoder = new FrameEncoder();
        const bytes = Buffer.concat(frames.map((f) => encoder.encode(f)));
        const decoder = new FrameDecoder();
        const read: SpdyFrame[] = [];
        for (let at = 0; at < bytes.length; at += size) read.push(...decoder.push(bytes.subarray(at, at + size)));
        const lengths = frames.flatMap((f) => (f.type === "data" ? [f.data.length] : []));
        expect(joined(read, lengths).map(plain)).toEqual(frames.map(plain));
      }),
      { seed: 1 },
    );
  });

  it("SYN_STREAM stands on the wire as the draft draws it", () => {
    const bytes = new FrameEncoder().encode({
      type: "synStream",
      stream: 1,
      associated: 0,
      priority: 3,
      fin: true,
      unidirectional: false,
      headers: {},
    });
    // Version 3, type 1; flags FIN and the length; stream 1; associated to 0; priority in the top 3 bits, slot 0.
    expect(bytes.subarray(0, 5).toString("hex")).toBe("8003000101");
    expect(bytes.readUIntBE(5, 3)).toBe(bytes.length - 8);
    expect(bytes.subarray(8, 18).toString("hex")).toBe("00000001000000006000");
    // zlib with a preset dictionary, SPDY/3's by its Adler-32.
    expect(bytes.subarray(20, 24).toString("hex")).toBe("e3c6a7c2");
  });

  it("data and control frames of fixed form", () => {
    const hex = (f: SpdyFrame) => new FrameEncoder().encode(f).toString("hex");
    expect(hex({ type: "data", stream: 5, fin: true, data: Buffer.from("ab") })).toBe("00000005010000026162");
    expect(hex({ type: "rstStream", stream: 7, status: 5 })).toBe("80030003000000080000000700000005");
    expect(hex({ type: "ping", id: 9 })).toBe("800300060000000400000009");
    expect(hex({ type: "goAway", lastStream: 3, status: 0 })).toBe("80030007000000080000000300000000");
    expect(hex({ type: "windowUpdate", stream: 1, delta: 0x8000 })).toBe("80030009000000080000000100008000");
    expect(hex({ type: "settings", clear: false, settings: [{ id: 7, flags: 1, value: 65536 }] })).toBe(
      "800300040000000c000000010100000700010000",
    );
  });

  it("bytes that are no frames end in an error of their own kind, never in another", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 1, max: 9 }), (bytes, type) => {
        const head = Buffer.from([0x80, 3, 0, type, 0, 0, 0, bytes.length]);
        for (const input of [Buffer.from(bytes), Buffer.concat([head, bytes])]) {
          try {
            new FrameDecoder().push(input);
          } catch (error) {
            expect(error).toBeInstanceOf(SpdyError);
          }
        }
      }),
      { seed: 1, numRuns: 2000 },
    );
  });

  it("refuse other versions, endless control frames, and headers that unpack to more than 64 KiB", () => {
    expect(() => new FrameDecoder().push(Buffer.from("8002000600000004", "hex"))).toThrow(SpdyError);
    expect(() => new FrameDecoder().push(Buffer.from("8003000800ffffff", "hex"))).toThrow(/16777215 bytes/);
    const bomb = new FrameEncoder().encode({ type: "headers", stream: 1, fin: false, headers: { a: "x".repeat(1e6) } });
    expect(bomb.length).toBeLessThan(64 * 1024);
    expect(() => new FrameDecoder().push(bomb)).toThrow(/cannot be unpacked/);
  });

  it("pass over control frames of unknown types", () => {
    const bytes = Buffer.from("8003001000000002beef800300060000000400000009", "hex");
    expect(new FrameDecoder().push(bytes)).toEqual([{ type: "ping", id: 9 }]);
  });
});

/** Object prototypes do not matter. */
function plain(one: SpdyFrame): unknown {
  return "headers" in one ? { ...one, headers: { ...one.headers } } : one;
}

describe("SPDY/3.1 header blocks", () => {
  const blocks = [{ streamtype: "data", port: "80", requestid: "0" }, { streamtype: "error", port: "80" }, {}];

  it("are what one zlib stream with the dictionary and a flush after each block holds", async () => {
    const packer = new HeaderPacker();
    const inflate = createInflate({ dictionary: spdyDictionary(), finishFlush: constants.Z_SYNC_FLUSH });
    const chunks: Buffer[] = [];
    inflate.on("data", (chunk: Buffer) => chunks.push(chunk));
    for (const block of blocks) inflate.write(packer.pack(block));
    await new Promise((resolve) => inflate.end(resolve));
    expect(Buffer.concat(chunks)).toEqual(Buffer.concat(blocks.map(encodeBlock)));
  });

  it("are read out of one zlib stream, however long it grows", async () => {
    const deflate = createDeflate({ dictionary: spdyDictionary() });
    const unpacker = new HeaderUnpacker();
    const waiting: Buffer[] = [];
    deflate.on("data", (chunk: Buffer) => waiting.push(chunk));
    for (let i = 0; i < 200; i++) {
      const block = { ...blocks[i % 3], requestid: String(i), filler: "0123456789abcdef".repeat(i) };
      deflate.write(encodeBlock(block));
      await new Promise<void>((resolve) => deflate.flush(constants.Z_SYNC_FLUSH, resolve));
      expect({ ...unpacker.unpack(Buffer.concat(waiting.splice(0))) }).toEqual(block);
    }
  });

  it("must be whole, lower-case and without repetition", () => {
    const good = encodeBlock({ a: "1" });
    expect(() => decodeBlock(good.subarray(0, -1))).toThrow(/cut off/);
    expect(() => decodeBlock(Buffer.concat([good, Buffer.of(0)]))).toThrow(/longer/);
    expect(() => decodeBlock(Buffer.from("00000001000000014100000000", "hex"))).toThrow(/"A"/);
    const twice = Buffer.from("00000002000000016100000000000000016100000000", "hex");
    expect(() => decodeBlock(twice)).toThrow(/twice/);
  });
});
