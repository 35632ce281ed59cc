import type { Readable } from "node:stream";

/**
 * Reads the beginning of a stream, so many bytes at most; what follows is not waited for, the stream is ended. Rejects
 * when the stream fails.
 */
export async function readStart(stream: Readable, maxBytes: number): Promise<{ text: string; whole: boolean }> {
  const chunks: Buffer[] = [];
  let size = 0;
  // Leaving the loop destroys the stream.
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > maxBytes) break;
  }
  return { text: Buffer.concat(chunks).subarray(0, maxBytes).toString(), whole: size <= maxBytes };
}
