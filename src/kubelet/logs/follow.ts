import { type FileHandle, open } from "node:fs/promises";
import { hasCode } from "#base/errors.ts";
import type { LogGrowth } from "./growth.ts";
import { type LogPart, nextLog } from "./rotation.ts";

const CHUNK = 64 * 1024;

/** Where a reader of a log is: in one of its files. */
export interface ReadPlace {
  file: FileHandle;
  position: number;
  /** Where a read that does not follow ends: what is written meanwhile must not lengthen a tail. */
  readonly end: number;
}

/** Waits until the log grows or ends, or the signal is aborted. */
function changed(log: LogGrowth, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stop();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const stop = log.onChange(done);
    signal.addEventListener("abort", done, { once: true });
    if (signal.aborted || log.ended) done();
  });
}

/**
 * Bytes from a place on, and with a live log what is added until it ends, in this file and in those after it.
 * The place's file is the one to close in the end.
 */
export async function* bytesOf(
  path: string,
  place: ReadPlace,
  live: LogGrowth | undefined,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  while (!signal.aborted) {
    // Asked before the read: what was written before the end is then still read.
    const last = !live || live.ended;
    const length = live ? CHUNK : Math.min(CHUNK, place.end - place.position);
    if (length <= 0) return;
    const buffer = Buffer.allocUnsafe(length);
    const { bytesRead } = await place.file.read(buffer, 0, length, place.position);
    place.position += bytesRead;
    if (bytesRead > 0) yield buffer.subarray(0, bytesRead);
    else if (!live) return;
    else if (await moveOn(path, place)) continue;
    else if (last) return;
    else await nextChange(path, place, live, signal);
  }
}

/** At the end of a file: goes on where there is more to read now. @returns false when there is nothing more */
async function moveOn(path: string, place: ReadPlace): Promise<boolean> {
  const { ino } = await place.file.stat();
  const next = nextLog(path, ino);
  // Looked at after the question above: a file that was put aside grows no more.
  const { size } = await place.file.stat();
  if (size > place.position) return true;
  if (size < place.position) {
    // It was emptied by the program whose standard error it is.
    place.position = 0;
    return true;
  }
  if (next === undefined) return false;
  const file = await openPart(next);
  // Put aside or deleted in this moment: the question is asked again.
  if (!file) return true;
  await place.file.close();
  place.file = file;
  place.position = 0;
  return true;
}

/** Undefined when its name is another file's by now, or nobody's. */
async function openPart({ path, inode }: LogPart): Promise<FileHandle | undefined> {
  try {
    const file = await open(path, "r");
    if ((await file.stat()).ino === inode) return file;
    await file.close();
  } catch (error) {
    if (!hasCode(error, "ENOENT")) throw error;
  }
  return undefined;
}

/** As changed(), but not when there is more to read since the last look. */
async function nextChange(path: string, place: ReadPlace, live: LogGrowth, signal: AbortSignal): Promise<void> {
  const change = changed(live, signal);
  const { size, ino } = await place.file.stat();
  if (size !== place.position || nextLog(path, ino) !== undefined) return;
  await change;
}
