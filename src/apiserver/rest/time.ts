/** A time, or now, RFC 3339 in seconds. */
export function timestamp(at = Date.now()): string {
  return `${new Date(at).toISOString().slice(0, 19)}Z`;
}

/** Now, as timestamp() gives it, but written out once a second: a creation asks three times. */
export class SecondClock {
  #second = 0;
  #text = "";

  now(): string {
    const second = Math.floor(Date.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#text = timestamp(second * 1000);
    }
    return this.#text;
  }
}
