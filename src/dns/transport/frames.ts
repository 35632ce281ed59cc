/** A message with its length in two bytes before it (RFC 1035 §4.2.2), in one piece (RFC 7766 §8). */
export function frame(message: Uint8Array): Uint8Array {
  const framed = new Uint8Array(message.length + 2);
  framed[0] = message.length >> 8;
  framed[1] = message.length & 0xff;
  framed.set(message, 2);
  return framed;
}

/** Cuts a TCP stream into messages, whatever pieces it comes in. */
export class FrameReader {
  /** What has not been taken yet begins at `#at` of the first one. */
  #chunks: Uint8Array[] = [];
  #at = 0;
  #length = 0;

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /** Whether some bytes of a message, but not all, are here. */
  get partial(): boolean {
    return this.#length > 0;
  }

  /** The next whole message; undefined until its last byte has come. */
  next(): Uint8Array | undefined {
    const size = this.#size();
    if (size === undefined || this.#length < size + 2) return undefined;
    if ((this.#chunks[0] as Uint8Array).length - this.#at < size + 2) this.#joinChunks();
    const first = this.#chunks[0] as Uint8Array;
    const message = first.subarray(this.#at + 2, this.#at + 2 + size);
    this.#at += size + 2;
    this.#length -= size + 2;
    if (this.#at === first.length) {
      this.#chunks.shift();
      this.#at = 0;
    }
    return message;
  }

  #joinChunks(): void {
    this.#chunks = [Buffer.concat(this.#chunks).subarray(this.#at)];
    this.#at = 0;
  }

  #size(): number | undefined {
    if (this.#length < 2) return undefined;
    const first = this.#chunks[0] as Uint8Array;
    const low = first.length > this.#at + 1 ? first[this.#at + 1] : this.#chunks[1]?.[0];
    return ((first[this.#at] as number) << 8) | (low as number);
  }
}
