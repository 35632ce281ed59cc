/**
 * What of a user's text may reach nginx's configuration.
 *
 * Two locks on the same door: text that could end a parameter (quotes, `;`, `{`, `}`, line ends) is refused here with
 * a reason for the user, and whatever passes is written through {@link quote}, which is safe for any text.
 */

/** Text that passed, in the form nginx compares with, or the reason why not. */
export type Checked = { readonly ok: true; readonly value: string } | { readonly ok: false; readonly why: string };

/** Longest path or rewrite target in characters: nginx's parser takes parameters of at most 4 KiB, quoting may double them. */
const longestText = 1024;

// biome-ignore lint/suspicious/noControlCharactersInRegex: refusing control characters is the purpose
const controlCharacter = /[\u0000-\u001f\u007f]/;
const dnsLabel = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
const hostPattern = new RegExp(`^(?:\\*\\.)?${dnsLabel}(?:\\.${dnsLabel})*$`);

const refuse = (why: string): Checked => ({ ok: false, why });

/** A host of an Ingress rule: a DNS-1123 subdomain, or one behind `*.` (networking/v1 IngressRule.host). */
export function checkHost(host: string): Checked {
  if (host.length > 253) return refuse("is longer than 253 characters");
  if (!hostPattern.test(host)) return refuse("is no DNS name in lower case (or one after a leading *.)");
  return { ok: true, value: host };
}

/** A literal path (Exact, Prefix, and ImplementationSpecific without regular expressions), percent-decoded as nginx compares it. */
export function checkPath(path: string): Checked {
  if (!path.startsWith("/")) return refuse("does not begin with /");
  if (path.length > longestText) return refuse(`is longer than ${longestText} characters`);
  const decoded = percentDecode(path);
  if (decoded === undefined) return refuse("has a percent sign that begins no valid encoding");
  const forbidden = forbiddenIn(decoded, /["'`\\;{}]/);
  return forbidden ? refuse(forbidden) : { ok: true, value: decoded };
}

/** A path that is a regular expression (PCRE). Braces only as the quantifiers {2}, {2,} and {2,3}. */
export function checkRegex(path: string): Checked {
  if (!path.startsWith("/")) return refuse("does not begin with /");
  if (path.length > longestText) return refuse(`is longer than ${longestText} characters`);
  const forbidden = forbiddenIn(path.replaceAll(/\{\d{1,4}(?:,\d{0,4})?\}/g, ""), /["'`;{}\s#]/);
  if (forbidden) return refuse(forbidden);
  try {
    new RegExp(path);
  } catch {
    return refuse("is no valid regular expression");
  }
  return { ok: true, value: path };
}

/** A rewrite target: a path that may name capture groups as $1 to $9, no other variable. */
export function checkRewriteTarget(target: string): Checked {
  if (!/^(?:\/|\$[1-9])/.test(target)) return refuse("begins neither with / nor with a capture group such as $1");
  if (target.length > longestText) return refuse(`is longer than ${longestText} characters`);
  if (/\$(?![1-9])/.test(target)) return refuse("names a variable other than the capture groups $1 to $9");
  const forbidden = forbiddenIn(target, /["'`\\;{}\s#]/);
  return forbidden ? refuse(forbidden) : { ok: true, value: target };
}

function forbiddenIn(text: string, characters: RegExp): string | undefined {
  if (controlCharacter.test(text)) return "has a control character";
  const found = characters.exec(text);
  if (found) return `has the character ${JSON.stringify(found[0])}, which is not allowed there`;
  return undefined;
}

/** `%2F` → `/`; undefined for what is no percent-encoded UTF-8. */
export function percentDecode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** A parameter of nginx's configuration in double quotes (ngx_conf_read_token: a backslash quotes `"` and itself). */
export function quote(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/** Text for a comment: one line of printable ASCII. */
export function commentText(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, "?");
}
