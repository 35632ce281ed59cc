/**
 * A short name for a text: FNV-1a (32 bits) in upstream's letters (no vowels, so no words). Upstream hashes Go's memory
 * layout or encoding, so its values cannot be had; they mean nothing outside of one cluster.
 */
export function safeHash(text: string): string {
  const letters = "bcdfghjklmnpqrstvwxz2456789";
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return [...String(hash)].map((digit) => letters[digit.charCodeAt(0) % letters.length]).join("");
}
