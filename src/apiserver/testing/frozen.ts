import type { Transport } from "#api/index.ts";

/**
 * A transport whose watches give frozen objects: who changes one, which is the server's own, gets a TypeError and not
 * a cluster whose store and history no longer agree.
 */
export function frozen(transport: Transport): Transport {
  return {
    close: () => transport.close(),
    async request(request) {
      const { events, ...answer } = await transport.request(request);
      return events ? { ...answer, events: freezeAll(events) } : answer;
    },
  };
}

async function* freezeAll<T extends { readonly object: object }>(events: AsyncIterable<T>): AsyncGenerator<T> {
  for await (const event of events) {
    freeze(event.object);
    yield event;
  }
}

function freeze(value: unknown): void {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const part of Object.values(value)) freeze(part);
}
