import { createPublicKey, verify } from "node:crypto";

/** One DER value: its tag, its contents and all its bytes. */
interface Der {
  readonly tag: number;
  readonly value: Buffer;
  readonly bytes: Buffer;
}

/** Reads the DER value that begins at `at`. Throws RangeError where the bytes end too early. */
function readDer(bytes: Buffer, at = 0): Der {
  const tag = bytes[at];
  const first = bytes[at + 1];
  if (tag === undefined || first === undefined) throw new RangeError("asn1: syntax error: data truncated");
  let length = first;
  let start = at + 2;
  if (first & 0x80) {
    const count = first & 0x7f;
    if (count === 0 || count > 4) throw new RangeError("asn1: syntax error: indefinite or too long length");
    if (start + count > bytes.length) throw new RangeError("asn1: syntax error: data truncated");
    length = bytes.readUIntBE(start, count);
    start += count;
  }
  if (start + length > bytes.length) throw new RangeError("asn1: syntax error: data truncated");
  return { tag, value: bytes.subarray(start, start + length), bytes: bytes.subarray(at, start + length) };
}

/** The values inside a SEQUENCE. */
function sequence(der: Der): Der[] {
  if (der.tag !== 0x30) throw new RangeError("asn1: structure error: tags don't match");
  return itemsOf(der);
}

/** The values inside a SEQUENCE or SET. */
function itemsOf(der: Der): Der[] {
  const items: Der[] = [];
  for (let at = 0; at < der.value.length; ) {
    const item = readDer(der.value, at);
    items.push(item);
    at += item.bytes.length;
  }
  return items;
}

function required(items: readonly Der[], index: number): Der {
  const item = items[index];
  if (!item) throw new RangeError("asn1: structure error: sequence truncated");
  return item;
}

/** Signature algorithms by the hexadecimal contents of their object identifier (RFC 8017, RFC 5758, RFC 8410). */
const digests: Readonly<Record<string, string | null>> = {
  "2a864886f70d01010b": "sha256",
  "2a864886f70d01010c": "sha384",
  "2a864886f70d01010d": "sha512",
  "2a8648ce3d040302": "sha256",
  "2a8648ce3d040303": "sha384",
  "2a8648ce3d040304": "sha512",
  "2b6570": null,
};

const pemPattern = /-----BEGIN ([A-Z0-9 ]+)-----\s+([A-Za-z0-9+/=\s]+?)-----END \1-----/;

/**
 * Why a PKCS#10 request (RFC 2986) is not accepted, in Go's words; undefined when it is well-formed and signed by the
 * key it names.
 * @param base64 spec.request: the PEM text in base64
 */
export function requestProblem(base64: string): string | undefined {
  const match = pemPattern.exec(Buffer.from(base64, "base64").toString("latin1"));
  if (match?.[1] !== "CERTIFICATE REQUEST") return "PEM block type must be CERTIFICATE REQUEST";
  try {
    const parts = sequence(readDer(Buffer.from(match[2] as string, "base64")));
    const info = required(parts, 0);
    const algorithm = required(sequence(required(parts, 1)), 0).value.toString("hex");
    const key = required(sequence(info), 2);
    const digest = digests[algorithm];
    if (digest === undefined) return "x509: cannot verify signature: algorithm unimplemented";
    // A BIT STRING's first byte counts unused bits: none in a signature.
    const signature = required(parts, 2).value.subarray(1);
    const publicKey = createPublicKey({ key: key.bytes, format: "der", type: "spki" });
    if (verify(digest, info.bytes, publicKey, signature)) return undefined;
    return publicKey.asymmetricKeyType === "rsa"
      ? "crypto/rsa: verification error"
      : "x509: ECDSA verification failure";
  } catch (error) {
    if (error instanceof RangeError) return error.message;
    return "x509: unsupported or malformed public key";
  }
}

/** The object identifier of organizationName (2.5.4.10), hexadecimal contents. */
const ORGANIZATION = "55040a";

/**
 * The organizations (O) that a PKCS#10 request's subject names; none of one that is not well-formed.
 * @param base64 spec.request: the PEM text in base64
 */
export function organizationsOf(base64: string): string[] {
  const match = pemPattern.exec(Buffer.from(base64, "base64").toString("latin1"));
  if (!match) return [];
  try {
    const info = required(sequence(readDer(Buffer.from(match[2] as string, "base64"))), 0);
    // Name ::= SEQUENCE OF SET OF SEQUENCE { type, value } (RFC 5280 4.1.2.4).
    return sequence(required(sequence(info), 1))
      .flatMap(itemsOf)
      .map(itemsOf)
      .filter((attribute) => required(attribute, 0).value.toString("hex") === ORGANIZATION)
      .map((attribute) => textOf(required(attribute, 1)));
  } catch (error) {
    if (error instanceof RangeError) return [];
    throw error;
  }
}

/** A DER text: BMPString (tag 30) has two bytes a character. */
function textOf({ tag, value }: Der): string {
  if (tag !== 0x1e) return value.toString("utf8");
  return value.length % 2 === 0 ? Buffer.from(value).swap16().toString("utf16le") : "";
}
