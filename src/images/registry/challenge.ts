/** A challenge of a WWW-Authenticate header (RFC 9110 section 11.6.1). */
export interface Challenge {
  /** In lower case: `bearer`, `basic`. */
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

const PARAMETER = /^\s*,?\s*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/;
const SCHEME = /^\s*,?\s*([A-Za-z][\w-]*)(?=\s|,|$)/;
/** Longest header that is looked at. */
const MAX_LENGTH = 8192;

/** Takes a header apart; what cannot be read ends it. */
export function parseChallenges(header: string): Challenge[] {
  const found: { scheme: string; parameters: Record<string, string> }[] = [];
  let rest = header.slice(0, MAX_LENGTH);
  while (rest.trim() !== "") {
    const parameter = PARAMETER.exec(rest);
    const current = found.at(-1);
    if (parameter && current) {
      current.parameters[(parameter[1] as string).toLowerCase()] =
        parameter[2]?.replaceAll(/\\(.)/g, "$1") ?? parameter[3] ?? "";
      rest = rest.slice(parameter[0].length);
      continue;
    }
    const scheme = SCHEME.exec(rest);
    if (!scheme) break;
    found.push({ scheme: (scheme[1] as string).toLowerCase(), parameters: {} });
    rest = rest.slice(scheme[0].length);
  }
  return found;
}
