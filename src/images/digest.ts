import { createHash } from "node:crypto";
import { ImageFault } from "./errors.ts";

const SHA256 = /^sha256:[a-f0-9]{64}$/;

/** The digest of bytes, as `sha256:` and 64 hexadecimal digits. */
export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** Whether a text is a digest that can be checked here. */
export function isDigest(text: unknown): text is string {
  return typeof text === "string" && SHA256.test(text);
}

/** The 64 digits of a digest: safe as a file's name. @throws ImageFault "Refused" for anything else */
export function hexOf(digest: string): string {
  if (!isDigest(digest)) throw new ImageFault("Refused", `digest ${JSON.stringify(digest)}: only sha256 is known here`);
  return digest.slice("sha256:".length);
}

/** Compares what came with what was asked for. @throws ImageFault "Refused" in containerd's words */
export function checkDigest(found: string, wanted: string): void {
  if (found !== wanted)
    throw new ImageFault("Refused", `unexpected commit digest ${found}, expected ${wanted}: failed precondition`);
}
