import { PodwireError } from "#base/errors.ts";

/** A place in a master file; lines count from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
}

/** A master file that cannot be used; the message begins with `file:line:`. */
export class ZoneFileError extends PodwireError {
  constructor(at: Place, message: string) {
    super("InvalidZoneFile", `${at.file}:${at.line}: ${message}`, { file: at.file, line: at.line });
    this.name = "ZoneFileError";
  }
}
