import { type Place, ZoneFileError } from "./errors.ts";
import type { Word } from "./lexer.ts";

const form =
  /^(\d{1,2})(?: (\d{1,2})(?: (\d{1,2}(?:\.\d{1,3})?))?)? ([NS]) (\d{1,3})(?: (\d{1,2})(?: (\d{1,2}(?:\.\d{1,3})?))?)? ([EW]) (-?\d+(?:\.\d{1,2})?)m?(?: (\d+(?:\.\d{1,2})?)m?)?(?: (\d+(?:\.\d{1,2})?)m?)?(?: (\d+(?:\.\d{1,2})?)m?)?$/;

/**
 * Data of a LOC record, `DEG [MIN [SEC]] N|S DEG [MIN [SEC]] E|W ALTITUDE [SIZE [HORIZONTAL [VERTICAL]]]`, lengths in
 * metres (RFC 1876 §3). @throws ZoneFileError
 */
export function locationBytes(words: readonly Word[], at: Place): Uint8Array {
  const match = form.exec(words.map((word) => word.text).join(" "));
  if (!match) throw new ZoneFileError(at, "bad LOC; expected such as 52 22 23 N 4 53 32 E -2m 1m 10000m 10m");
  const [, d1, m1, s1, ns, d2, m2, s2, ew, altitude, size = "1", horizontal = "10000", vertical = "10"] = match;
  const latitude = arc(d1, m1, s1);
  const longitude = arc(d2, m2, s2);
  const centimetres = Math.round(Number(altitude) * 100) + 10_000_000;
  if (latitude > 90 * 3_600_000 || longitude > 180 * 3_600_000 || centimetres < 0 || centimetres > 0xffffffff) {
    throw new ZoneFileError(at, "bad LOC: beyond the globe");
  }
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  for (const [i, text] of [size, horizontal, vertical].entries()) bytes[i + 1] = precision(Number(text), at);
  view.setUint32(4, 2 ** 31 + (ns === "N" ? latitude : -latitude));
  view.setUint32(8, 2 ** 31 + (ew === "E" ? longitude : -longitude));
  view.setUint32(12, centimetres);
  return bytes;
}

/** Thousandths of a second of arc. */
function arc(degrees = "0", minutes = "0", seconds = "0"): number {
  return Math.round((Number(degrees) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000);
}

/** A length as one digit and a power of ten, in centimetres. */
function precision(metres: number, at: Place): number {
  let mantissa = Math.round(metres * 100);
  let exponent = 0;
  for (; mantissa >= 10; exponent++) mantissa = Math.floor(mantissa / 10);
  if (exponent > 9) throw new ZoneFileError(at, "bad LOC: beyond 90000000 m");
  return (mantissa << 4) | exponent;
}
