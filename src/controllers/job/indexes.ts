/** Reads a text such as `0,2-4`; what is at or beyond `completions` is left out. */
export function parseIndexes(text: string | undefined, completions: number): Set<number> {
  const found = new Set<number>();
  for (const part of (text ?? "").split(",").filter(Boolean)) {
    const [first = 0, last = first] = part.split("-").map(Number);
    for (let i = first; i <= last && i < completions; i++) found.add(i);
  }
  return found;
}

/** The shortest text of some indexes: `0,2-4`. Two neighbours are joined by a comma, as upstream does. */
export function formatIndexes(indexes: Iterable<number>): string {
  const sorted = [...new Set(indexes)].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let i = 0; i < sorted.length; ) {
    let end = i;
    while (sorted[end + 1] === (sorted[end] ?? 0) + 1) end++;
    const [first, last] = [sorted[i] ?? 0, sorted[end] ?? 0];
    if (last - first >= 2) parts.push(`${first}-${last}`);
    else for (let one = first; one <= last; one++) parts.push(String(one));
    i = end + 1;
  }
  return parts.join(",");
}
