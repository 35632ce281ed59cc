import { PodwireError } from "#base/errors.ts";

/** A place in a Corefile, for messages: lines count from 1. */
export interface Location {
  readonly file: string;
  readonly line: number;
}

/** A Corefile that cannot be used; the message begins with `file:line:` and says what is allowed. */
export class CorefileError extends PodwireError {
  readonly at: Location;

  constructor(at: Location, message: string) {
    super("InvalidCorefile", `${at.file}:${at.line}: ${message}`, { file: at.file, line: at.line });
    this.name = "CorefileError";
    this.at = at;
  }
}
