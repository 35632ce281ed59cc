import { tryParseIp } from "#base/ip.ts";
import { type Place, ZoneFileError } from "./errors.ts";
import { stringBytes, type Word } from "./lexer.ts";

/** Keys of SVCB and HTTPS records (RFC 9460 §14.3.2). */
const keys: Readonly<Record<string, number>> = {
  mandatory: 0,
  alpn: 1,
  "no-default-alpn": 2,
  port: 3,
  ipv4hint: 4,
  ech: 5,
  ipv6hint: 6,
  dohpath: 7,
};

/**
 * Parameters of an SVCB or HTTPS record, `key=value` each, in the order of their numbers (RFC 9460 §2.1).
 * @throws ZoneFileError
 */
export function serviceParameters(words: readonly Word[], at: Place): Uint8Array {
  const found = new Map<number, Uint8Array>();
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as Word;
    const [, name = "", value] = /^([a-z0-9-]+)(?:=([\s\S]*))?$/.exec(word.text) ?? [];
    const key = keyNumber(name);
    if (key === undefined || word.quoted)
      throw new ZoneFileError(word, `bad SVCB parameter ${JSON.stringify(word.text)}`);
    if (found.has(key)) throw new ZoneFileError(word, `SVCB parameter ${name} twice`);
    // A quoted value is a word of its own behind `key=`.
    const quoted = value === "" && words[i + 1]?.quoted ? (words[++i] as Word) : undefined;
    found.set(key, valueBytes(key, quoted ?? { ...word, text: value ?? "" }));
  }
  return Buffer.concat(
    [...found]
      .sort(([a], [b]) => a - b)
      .map(([key, value]) => {
        if (value.length > 0xffff) throw new ZoneFileError(at, "SVCB parameter beyond 65535 bytes");
        return Buffer.from([key >> 8, key & 255, value.length >> 8, value.length & 255, ...value]);
      }),
  );
}

function keyNumber(name: string): number | undefined {
  if (Object.hasOwn(keys, name)) return keys[name];
  const number = /^key(0|[1-9]\d{0,4})$/.exec(name)?.[1];
  return number !== undefined && Number(number) < 65535 ? Number(number) : undefined;
}

function valueBytes(key: number, word: Word): Uint8Array {
  const bad = (what: string) => new ZoneFileError(word, `SVCB parameter: ${JSON.stringify(word.text)} is no ${what}`);
  const list = word.text.split(",");
  switch (key) {
    case 0:
      return Buffer.from(
        list
          .map((name) => keyNumber(name) ?? raise(bad("list of keys")))
          .sort((a, b) => a - b)
          .flatMap((n) => [n >> 8, n & 255]),
      );
    case 1:
      return Buffer.from(
        list.flatMap((text) => {
          const bytes = stringBytes({ ...word, text });
          if (bytes.length === 0 || bytes.length > 255) throw bad("list of protocols");
          return [bytes.length, ...bytes];
        }),
      );
    case 2:
      if (word.text !== "") throw bad("empty value");
      return new Uint8Array(0);
    case 3: {
      const port = /^\d{1,5}$/.test(word.text) ? Number(word.text) : Number.NaN;
      if (!(port <= 65535)) throw bad("port");
      return Uint8Array.of(port >> 8, port & 255);
    }
    case 4:
    case 6:
      return Buffer.concat(
        list.map((text) => {
          const ip = tryParseIp(text);
          if (ip?.family !== key) throw bad(`list of IPv${key} addresses`);
          return ip.bytes;
        }),
      );
    case 5:
      if (!/^[A-Za-z0-9+/]+={0,2}$/.test(word.text)) throw bad("base64");
      return Buffer.from(word.text, "base64");
    default:
      return stringBytes(word);
  }
}

function raise(error: Error): never {
  throw error;
}
