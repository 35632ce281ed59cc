import { PodwireError } from "#base/errors.ts";

/** A place in a Corefile, for messages: lines count from 1. */
export interface Location {
  readonly file: string;
  readonly line: number;
  /** Environment variables that are named there and not set. */
  readonly unset?: readonly string[];
}

/** A Corefile that cannot be used; the message begins with `file:line:` and says what is allowed. */
export class CorefileError extends PodwireError {
  readonly at: Location;

  constructor(at: Location, message: string) {
    const { file, line, unset = [] } = at;
    const why = unset.length > 0 ? ` (not set: ${unset.map((name) => `{$${name}}`).join(", ")})` : "";
    super("InvalidCorefile", `${file}:${line}: ${message}${why}`, { file, line });
    this.name = "CorefileError";
    this.at = at;
  }
}
