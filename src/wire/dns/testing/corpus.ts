/** Packets that are no proper queries, or hardly so, by what is wrong with them: RFC 1035, 6891, and what attackers send. */
const packets: Readonly<Record<string, string>> = {
  "a query": "1234 0100 0001 0000 0000 0000 03777777 076578616d706c65 03636f6d 00 0001 0001",
  "a query of a Service":
    "1234 0100 0001 0000 0000 0000 0a6b756265726e65746573 0764656661756c74 03737663 07636c7573746572 056c6f63616c 00 0001 0001",
  "a query of a Service with OPT":
    "1234 0120 0001 0000 0000 0001 0a6b756265726e65746573 0764656661756c74 03737663 07636c7573746572 056c6f63616c 00 001c 0001 00 0029 1000 00008000 0000",
  "a denied name":
    "1234 0100 0001 0000 0000 0000 046e6f7065 0764656661756c74 03737663 07636c7573746572 056c6f63616c 00 0001 0001",
  nothing: "",
  "one byte": "12",
  "half a header": "1234 0100 0001",
  "a header alone": "1234 0100 0000 0000 0000 0000",
  "a header that promises a question": "1234 0100 0001 0000 0000 0000",
  "65535 questions": "1234 0100 ffff 0000 0000 0000 00 0001 0001",
  "65535 of everything": "1234 0100 ffff ffff ffff ffff 00 0001 0001",
  "an answer": "1234 8180 0001 0000 0000 0000 00 0001 0001",
  "two questions": "1234 0100 0002 0000 0000 0000 0161 00 0001 0001 0162 00 0001 0001",
  "a pointer to itself": "1234 0100 0001 0000 0000 0000 c00c 0001 0001",
  "a pointer forward": "1234 0100 0001 0000 0000 0000 c010 0001 0001 0161 00",
  "a pointer into the header": "1234 0100 0001 0000 0000 0000 c000 0001 0001",
  "a pointer beyond the end": "1234 0100 0001 0000 0000 0000 ffff 0001 0001",
  "half a pointer": "1234 0100 0001 0000 0000 0000 c0",
  "two pointers in a circle": "1234 0100 0002 0000 0000 0000 0161 c010 c00c 0001 0001",
  "a label, then a pointer to it": "1234 0100 0001 0000 0000 0000 0161 c00c 0001 0001",
  "a label that points at its own middle": "1234 0100 0001 0000 0000 0000 0361c00c c00d 0001 0001",
  "a label of 64 bytes": `1234 0100 0001 0000 0000 0000 40${"61".repeat(64)} 00 0001 0001`,
  "a label of 63 bytes": `1234 0100 0001 0000 0000 0000 3f${"61".repeat(63)} 00 0001 0001`,
  "a label of an unknown type": "1234 0100 0001 0000 0000 0000 8161 00 0001 0001",
  "a name of 255 bytes": `1234 0100 0001 0000 0000 0000 ${"0161".repeat(127)} 00 0001 0001`,
  "a name of 257 bytes": `1234 0100 0001 0000 0000 0000 ${"0161".repeat(128)} 00 0001 0001`,
  "a name without an end": "1234 0100 0001 0000 0000 0000 0161 0162",
  "a label beyond the end": "1234 0100 0001 0000 0000 0000 3f6161",
  "a name, and no type": "1234 0100 0001 0000 0000 0000 0161 00",
  "a name, and half a class": "1234 0100 0001 0000 0000 0000 0161 00 0001 00",
  "the root": "1234 0100 0001 0000 0000 0000 00 0002 0001",
  "bytes of zero in labels": "1234 0100 0001 0000 0000 0000 03000000 00 0001 0001",
  "dots and backslashes in labels": "1234 0100 0001 0000 0000 0000 042e5c2e5c 00 0001 0001",
  "all capitals": "1234 0100 0001 0000 0000 0000 035a5a5a 05434c4f5345 00 0001 0001",
  "bytes behind the question": "1234 0100 0001 0000 0000 0000 0161 00 0001 0001 deadbeef",
  "a type of zero": "1234 0100 0001 0000 0000 0000 0161 00 0000 0001",
  "any type": "1234 0100 0001 0000 0000 0000 0161 00 00ff 0001",
  "a zone transfer": "1234 0100 0001 0000 0000 0000 0161 00 00fc 0001",
  "a class of zero": "1234 0100 0001 0000 0000 0000 0161 00 0001 0000",
  "any class": "1234 0100 0001 0000 0000 0000 0161 00 0001 00ff",
  "an inverse query": "1234 0900 0001 0000 0000 0000 0161 00 0001 0001",
  "an update": "1234 2800 0001 0000 0000 0000 0161 00 0006 0001",
  "a notification": "1234 2400 0001 0000 0000 0000 0161 00 0006 0001",
  "every flag but that of answers": "1234 7fff 0001 0000 0000 0000 0161 00 0001 0001",
  "an answer in a query": "1234 0100 0001 0001 0000 0000 0161 00 0001 0001 c00c 0001 0001 00000001 0004 01020304",
  "an answer whose data is too long":
    "1234 0100 0001 0001 0000 0000 0161 00 0001 0001 c00c 0001 0001 00000001 ffff 01020304",
  "an address of five bytes": "1234 0100 0001 0001 0000 0000 0161 00 0001 0001 c00c 0001 0001 00000001 0005 0102030405",
  "a name that leaves its data": "1234 0100 0001 0001 0000 0000 0161 00 0001 0001 c00c 0005 0001 00000001 0001 0161 00",
  "OPT with a version": "1234 0100 0001 0000 0000 0001 0161 00 0001 0001 00 0029 1000 00010000 0000",
  "OPT twice": "1234 0100 0001 0000 0000 0002 0161 00 0001 0001 00 0029 1000 00000000 0000 00 0029 1000 00000000 0000",
  "OPT with a name": "1234 0100 0001 0000 0000 0001 0161 00 0001 0001 0162 00 0029 1000 00000000 0000",
  "OPT with half an option": "1234 0100 0001 0000 0000 0001 0161 00 0001 0001 00 0029 1000 00000000 0002 000a",
  "OPT whose option is too long": "1234 0100 0001 0000 0000 0001 0161 00 0001 0001 00 0029 1000 00000000 0004 000affff",
  "OPT whose data is too long": "1234 0100 0001 0000 0000 0001 0161 00 0001 0001 00 0029 1000 00000000 ffff",
  "OPT with a cookie":
    "1234 0100 0001 0000 0000 0001 0161 00 0001 0001 00 0029 1000 00000000 000c 000a0008 0102030405060708",
  "half an OPT": "1234 0100 0001 0000 0000 0001 0161 00 0001 0001 00 0029 10",
  "OPT of no size": "1234 0100 0001 0000 0000 0001 0161 00 0001 0001 00 0029 0000 00000000 0000",
  "a record that is no OPT": "1234 0100 0001 0000 0000 0001 0161 00 0001 0001 00 0001 0001 00000000 0000",
  "a signature": "1234 0100 0001 0000 0000 0001 0161 00 0001 0001 00 00fa 00ff 00000000 0000",
  "a long chain of pointers": `1234 8100 0000 003f 0000 0000 0161 00 0001 0001 00000000 0000 ${Array.from(
    { length: 62 },
    (_, i) => `0161 ${(0xc00c + (i === 0 ? 0 : 13 + (i - 1) * 14)).toString(16)} 0001 0001 00000000 0000`,
  ).join("")}`,
};

/** The corpus: name and bytes. */
export const corpus: readonly (readonly [string, Uint8Array])[] = Object.entries(packets).map(([name, text]) => [
  name,
  Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ""), "hex")),
]);

/** Bytes that mean something somewhere in a message. */
const telling = [0, 1, 0x3f, 0x40, 0x41, 0x5a, 0x5c, 0x7f, 0x80, 0xc0, 0xff];

/**
 * An endless stream of broken packets: members of the corpus with bytes set, bits turned, cut, made longer, or with
 * pieces of others in them. The same seed gives the same packets. The memory of a packet is used again for the next one.
 */
export class Mutations {
  readonly #memory = new Uint8Array(2048);
  #state: number;

  /** @param seed not 0 */
  constructor(seed: number) {
    this.#state = seed | 0 || 1;
  }

  /** The next packet; valid until the next call. */
  next(): Uint8Array {
    const bytes = this.#memory;
    const from = this.#member();
    bytes.set(from);
    let length = from.length;
    for (let times = this.#below(5); times > 0; times--) length = this.#mutate(length);
    return bytes.subarray(0, length);
  }

  /** A number from 0 to below the bound (xorshift32). */
  #below(bound: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return (x >>> 0) % bound;
  }

  #member(): Uint8Array {
    return corpus[this.#below(corpus.length)]?.[1] ?? new Uint8Array(0);
  }

  #mutate(length: number): number {
    const bytes = this.#memory;
    if (length === 0) return this.#below(40);
    const at = this.#below(length);
    switch (this.#below(7)) {
      case 0:
        bytes[at] = this.#below(256);
        return length;
      case 1:
        bytes[at] = telling[this.#below(telling.length)] as number;
        return length;
      case 2:
        bytes[at] = (bytes[at] as number) ^ (1 << this.#below(8));
        return length;
      case 3:
        return at; // cut
      case 4: {
        const more = Math.min(this.#below(64), bytes.length - length);
        bytes.copyWithin(at + more, at, length);
        return length + more;
      }
      case 5: {
        const piece = this.#member();
        const start = this.#below(piece.length + 1);
        const count = Math.min(this.#below(piece.length - start + 1), bytes.length - at);
        bytes.set(piece.subarray(start, start + count), at);
        return Math.max(length, at + count);
      }
      default: {
        const gone = Math.min(this.#below(16), length - at);
        bytes.copyWithin(at, at + gone, length);
        return length - gone;
      }
    }
  }
}
