import {
  closeSync,
  constants,
  fdatasync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";

/** What the log does to files. Tests put failing disks in its place. */
export interface LogFiles {
  /** The content; undefined when there is no such file. */
  read(path: string): Buffer | undefined;
  /** Opens for writing, made with mode 0600 when missing; emptied when asked. */
  open(path: string, empty: boolean): number;
  truncate(fd: number, bytes: number): void;
  /** Writes all at a place. */
  write(fd: number, bytes: Buffer, at: number): void;
  /** Brings what was written to the disk. */
  sync(fd: number, done: (error: Error | null) => void): void;
  syncNow(fd: number): void;
  /** Puts a file in another's place; a crash before syncFolder() leaves the one or the other. */
  replace(from: string, to: string): void;
  /** Brings the names in a file's folder to the disk. */
  syncFolder(path: string): void;
  remove(path: string): void;
  close(fd: number): void;
}

/** For writing at places of one's own choice; made when missing, never emptied. */
const openFlags = constants.O_RDWR | constants.O_CREAT;

/** The operating system's files. */
export const realFiles: LogFiles = {
  read(path) {
    try {
      return readFileSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  },
  open: (path, empty) => openSync(path, empty ? "w" : openFlags, 0o600),
  truncate: ftruncateSync,
  write(fd, bytes, at) {
    for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done, at + done);
  },
  sync: fdatasync,
  syncNow: fdatasyncSync,
  replace: renameSync,
  syncFolder(path) {
    const folder = openSync(dirname(path), "r");
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  },
  remove: (path) => rmSync(path, { force: true }),
  close: closeSync,
};
