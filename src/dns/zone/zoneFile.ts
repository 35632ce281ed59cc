import { readFileSync, type Stats, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Logger } from "#base/log.ts";
import { parseZoneFile } from "#wire/zone/index.ts";
import { Zone } from "./zone.ts";

/** Largest master file, bytes. */
const maxBytes = 256 << 20;

/**
 * Reads the zone of a master file.
 * @throws file system errors, ZoneFileError, ZoneError
 */
export function readZone(file: string, origin: string, log: Logger): Zone {
  const records = parseZoneFile(readText(file), {
    file,
    origin,
    readInclude: (name, from) => {
      const path = resolve(dirname(from), name);
      return { file: path, text: readText(path) };
    },
  });
  const zone = new Zone(origin, records, file);
  if (zone.outOfZone > 0) log.warn(`${file}: ${zone.outOfZone} records outside of ${origin} are not served`);
  return zone;
}

function readText(path: string): string {
  const { size } = statSync(path);
  if (size > maxBytes) throw new Error(`${path} has ${size} bytes; at most ${maxBytes}`);
  return readFileSync(path, "utf8");
}

/** What tells whether a file was changed: its time, size and place. "" while it cannot be looked at. */
export function fileVersion(path: string): string {
  const stats = statsOf(path);
  return stats ? `${stats.mtimeMs} ${stats.size} ${stats.ino}` : "";
}

/** What is at a path; undefined for nothing, and for what cannot be looked at: a link to itself, a closed folder. */
export function statsOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}
