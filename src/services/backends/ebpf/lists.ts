/**
 * The order of a list's endpoints after a change. What stays keeps its place, as far as the list is still that long; the
 * places that became free are taken by the rest. So a change writes few elements, and at each instant in between every
 * place of the list holds an endpoint, old or new. Pure.
 * @param before the order until now
 * @param wanted the endpoints, each once
 */
export function arranged(before: readonly string[], wanted: readonly string[]): string[] {
  const waiting = new Set(wanted);
  const places = wanted.map((_, place) => {
    const held = before[place];
    return held !== undefined && waiting.delete(held) ? held : undefined;
  });
  const rest = [...waiting];
  let next = 0;
  return places.map((held) => held ?? (rest[next++] as string));
}
