import { TarError } from "./header.ts";

/** Records of an extended header: keyword → value as bytes. */
export type PaxRecords = Readonly<Record<string, Buffer>>;

const SPACE = 0x20;
const EQUALS = 0x3d;
const NEWLINE = 0x0a;

/**
 * Reads records `length keyword=value\n` (POSIX.1-2001 pax). Values may hold any bytes, as those of xattrs do.
 * @throws TarError
 */
export function parsePax(bytes: Buffer): PaxRecords {
  const records: Record<string, Buffer> = Object.create(null) as Record<string, Buffer>;
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(SPACE, at);
    const digits = space < 0 ? "" : bytes.toString("latin1", at, space);
    const length = Number(digits);
    const end = at + length;
    if (!/^[0-9]{1,9}$/.test(digits) || end > bytes.length || end <= space + 1 || bytes[end - 1] !== NEWLINE)
      throw new TarError("an extended header's record has a wrong length");
    const equals = bytes.indexOf(EQUALS, space + 1);
    if (equals < 0 || equals >= end) throw new TarError("an extended header's record has no keyword");
    records[bytes.toString("latin1", space + 1, equals)] = bytes.subarray(equals + 1, end - 1);
    at = end;
  }
  return records;
}

/** A record's decimal number. @throws TarError */
export function paxNumber(records: PaxRecords, keyword: string): number | undefined {
  const value = records[keyword]?.toString("latin1");
  if (value === undefined || value === "") return undefined;
  if (!/^-?[0-9]{1,16}(\.[0-9]*)?$/.test(value)) throw new TarError(`${keyword} of an extended header is no number`);
  return Number(value);
}
