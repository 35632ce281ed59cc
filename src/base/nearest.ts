/** Letters that have to be added, taken away or changed to make one word of another (Levenshtein). */
export function wordDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}

/** The names that somebody may have meant: the nearest ones first, those that are too far left out. */
export function nearest(word: string, names: readonly string[], count = 3): string[] {
  const limit = word.length < 4 ? 1 : Math.max(2, Math.floor(word.length / 3));
  return names
    .map((name) => ({ name, far: name.includes(word) ? 1 : wordDistance(word, name) }))
    .filter(({ far }) => far <= limit)
    .sort((a, b) => a.far - b.far || (a.name < b.name ? -1 : 1))
    .slice(0, count)
    .map(({ name }) => name);
}
