/** Size of a block: everything is padded to it. */
const BLOCK = 512;

/** What an entry's header says; what is not named is zero. */
export interface TarHeader {
  readonly name: string;
  /** Type flag of ustar: `0` a file, `1` a hard link, `2` a symbolic link, `5` a folder, … */
  readonly type?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly size?: number;
  readonly mtime?: number;
  readonly target?: string;
}

function octal(value: number, length: number): string {
  return `${value.toString(8).padStart(length - 1, "0")}\0`;
}

/** A ustar header; the content follows, padded to blocks of 512. Names have at most 100 bytes. */
export function tarHeader(header: TarHeader): Buffer {
  const block = Buffer.alloc(BLOCK);
  block.write(header.name, 0, 100, "utf8");
  block.write(octal(header.mode ?? 0o644, 8), 100, "latin1");
  block.write(octal(header.uid ?? 0, 8), 108, "latin1");
  block.write(octal(header.gid ?? 0, 8), 116, "latin1");
  block.write(octal(header.size ?? 0, 12), 124, "latin1");
  block.write(octal(header.mtime ?? 0, 12), 136, "latin1");
  block.write(" ".repeat(8), 148, "latin1");
  block.write(header.type ?? "0", 156, "latin1");
  block.write(header.target ?? "", 157, 100, "utf8");
  block.write("ustar\x0000", 257, "latin1");
  const sum = block.reduce((a, b) => a + b, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

/** The end of an archive: two blocks of zeros. */
export function tarEnd(): Buffer {
  return Buffer.alloc(2 * BLOCK);
}
