import { type Conntrack, type Flow, type FlowFilter, leadsTo, tupleText } from "./flow.ts";

/** Connection tracking in memory. */
export class FakeConntrack implements Conntrack {
  #flows: Flow[] = [];

  /** Puts connections in, as packets would. */
  add(...flows: Flow[]): void {
    this.#flows.push(...flows);
  }

  list({ family, protocol, destination }: FlowFilter): Flow[] {
    return this.#flows.filter(
      ({ original }) =>
        original.source.family === family &&
        (protocol === undefined || original.protocol === protocol) &&
        (destination === undefined || leadsTo(original, destination)),
    );
  }

  delete(flows: readonly Flow[]): number {
    const gone = new Set(flows.map(({ original }) => tupleText(original)));
    const before = this.#flows.length;
    this.#flows = this.#flows.filter(({ original }) => !gone.has(tupleText(original)));
    return before - this.#flows.length;
  }

  close(): void {}
}
