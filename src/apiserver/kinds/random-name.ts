import { randomUUID } from "node:crypto";

const suffixAlphabet = "bcdfghjklmnpqrstvwxz2456789";

/** Five characters as generateName appends them (apimachinery rand.String: no vowels, no look-alikes). */
export function randomSuffix(): string {
  // Node keeps random numbers for UUIDs in store; randomBytes() goes to OpenSSL for each five (45 µs).
  let number = Number.parseInt(randomUUID().slice(0, 8), 16);
  let suffix = "";
  for (let i = 0; i < 5; i++) {
    suffix += suffixAlphabet[number % suffixAlphabet.length];
    number = Math.floor(number / suffixAlphabet.length);
  }
  return suffix;
}
