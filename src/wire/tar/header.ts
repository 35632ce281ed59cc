/** Size of a block: everything is padded to it (POSIX.1-1988 ustar). */
export const BLOCK = 512;

/** A tar archive cannot be read. */
export class TarError extends Error {
  readonly code = "ERR_TAR";
}

/** A header block, as it is written. Texts are bytes as latin1. */
export interface RawHeader {
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  /** The type flag: one character. */
  readonly type: string;
  readonly linkname: string;
}

function text(block: Buffer, offset: number, length: number): string {
  const field = block.subarray(offset, offset + length);
  const end = field.indexOf(0);
  return field.toString("latin1", 0, end < 0 ? length : end);
}

/** A number: octal digits, or, with the first bit set, big-endian bytes (GNU base-256). @throws TarError */
function number(block: Buffer, offset: number, length: number, what: string): number {
  const first = block[offset] ?? 0;
  if (first & 0x80) {
    if (first & 0x40) throw new TarError(`${what} is negative`);
    let value = BigInt(first & 0x3f);
    for (let i = 1; i < length; i++) value = (value << 8n) | BigInt(block[offset + i] ?? 0);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new TarError(`${what} is too large`);
    return Number(value);
  }
  const digits = text(block, offset, length).trim();
  if (!/^[0-7]*$/.test(digits)) throw new TarError(`${what} is no octal number: ${JSON.stringify(digits)}`);
  return digits === "" ? 0 : Number.parseInt(digits, 8);
}

/** Sum of the header's bytes, its checksum field counted as blanks; some old programs summed signed bytes. */
function sums(block: Buffer): [unsigned: number, signed: number] {
  let unsigned = 8 * 0x20;
  let signed = unsigned;
  for (let i = 0; i < BLOCK; i++) {
    if (i >= 148 && i < 156) continue;
    unsigned += block.readUInt8(i);
    signed += block.readInt8(i);
  }
  return [unsigned, signed];
}

/** Whether a block is of zeros alone: two of them end an archive. */
export function isZero(block: Buffer): boolean {
  return block.every((byte) => byte === 0);
}

/** Reads a header. @throws TarError */
export function parseHeader(block: Buffer): RawHeader {
  const checksum = number(block, 148, 8, "the checksum");
  if (!sums(block).includes(checksum)) throw new TarError("a header's checksum is wrong");
  const magic = block.toString("latin1", 257, 263);
  const prefix = magic === "ustar\0" ? text(block, 345, 155) : "";
  const name = text(block, 0, 100);
  return {
    name: prefix === "" ? name : `${prefix}/${name}`,
    mode: number(block, 100, 8, "the mode") & 0o7777,
    uid: number(block, 108, 8, "the uid"),
    gid: number(block, 116, 8, "the gid"),
    size: number(block, 124, 12, "the size"),
    mtime: number(block, 136, 12, "the time"),
    type: block.toString("latin1", 156, 157),
    linkname: text(block, 157, 100),
  };
}
