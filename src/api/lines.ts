/** Reads a body to its end as text. */
export async function readText(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return chunks.length === 1 && chunks[0] ? Buffer.from(chunks[0]).toString("utf8") : Buffer.concat(chunks).toString();
}

/** A stream of JSON documents, one a line, as watches send them. Throws SyntaxError on anything else. */
export async function* readJsonLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<unknown, void, void> {
  // Pieces of an unfinished line are kept apart, so that a huge object costs one copy and not one per chunk.
  let pieces: Uint8Array[] = [];
  for await (const chunk of body) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      pieces.push(chunk.subarray(start, end));
      const line = pieces.length === 1 && pieces[0] ? asBuffer(pieces[0]) : Buffer.concat(pieces);
      pieces = [];
      start = end + 1;
      if (line.length > 0) yield JSON.parse(line.toString("utf8"));
    }
    if (start < chunk.length) pieces.push(chunk.subarray(start));
  }
  const rest = Buffer.concat(pieces).toString("utf8").trim();
  if (rest !== "") yield JSON.parse(rest);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
