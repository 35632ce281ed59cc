import { type EventRecorder, type Ingress, referenceTo, resources } from "#api/index.ts";
import type { Complaint } from "./model.ts";

/** Tells Ingress authors what happened, each thing once: `Sync` for a new or changed Ingress, Warnings for complaints. */
export class Reports {
  readonly #recorder: EventRecorder;
  /** uid → generation told. */
  readonly #synced = new Map<string, number | undefined>();
  #complaints = new Set<string>();

  constructor(recorder: EventRecorder) {
    this.#recorder = recorder;
  }

  /** Takes all that is true now; what was told before is not told again, what went away may be told when it returns. */
  update(ingresses: readonly Ingress[], complaints: readonly Complaint[]): void {
    const present = new Set(ingresses.map(uidOf));
    for (const uid of this.#synced.keys()) if (!present.has(uid)) this.#synced.delete(uid);
    for (const ingress of ingresses) {
      const { generation } = ingress.metadata;
      const uid = uidOf(ingress);
      if (this.#synced.has(uid) && this.#synced.get(uid) === generation) continue;
      this.#synced.set(uid, generation);
      this.#recorder.event(referenceTo(resources.ingresses, ingress), "Normal", "Sync", "Scheduled for sync");
    }
    const now = new Set<string>();
    for (const { ingress, reason, message } of complaints) {
      const key = `${uidOf(ingress)} ${message}`;
      if (now.has(key)) continue;
      now.add(key);
      if (this.#complaints.has(key)) continue;
      this.#recorder.event(referenceTo(resources.ingresses, ingress), "Warning", reason, message);
    }
    this.#complaints = now;
  }
}

function uidOf({ metadata }: Ingress): string {
  return metadata.uid ?? `${metadata.namespace}/${metadata.name}`;
}
