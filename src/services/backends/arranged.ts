/**
 * The order of a list's endpoints after a change. What stays keeps its place, as far as the list is still that long; the
 * places that became free are taken by the rest. So a change writes few elements, and at each instant in between every
 * place of the list holds an endpoint, old or new. Pure.
 * @param before the order until now
 * @param wanted the endpoints; one that stands twice gets two places
 */
export function arranged(before: readonly string[], wanted: readonly string[]): string[] {
  const waiting = new Map<string, number>();
  for (const one of wanted) waiting.set(one, (waiting.get(one) ?? 0) + 1);
  const take = (one: string): boolean => {
    const times = waiting.get(one) ?? 0;
    if (times > 0) waiting.set(one, times - 1);
    return times > 0;
  };
  const places = wanted.map((_, place) => {
    const held = before[place];
    return held !== undefined && take(held) ? held : undefined;
  });
  const rest = wanted.filter(take);
  let next = 0;
  return places.map((held) => held ?? (rest[next++] as string));
}
