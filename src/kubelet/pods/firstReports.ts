import type { Passes } from "./passes.ts";

/** A status is reported this long after a pod was first seen, if it is still being set up then. */
const FIRST_REPORT_MS = 100;
/** While more pods than this are being set up, what they have to tell is mostly that they stand in line … */
const CROWD = 20;
/** … and that waits for something better, but no longer than this. */
const LONGEST_MS = 3000;

/**
 * Reports of pods that take long to start. When very many come at once, each status that says "not yet" delays those
 * that say "Running": one of a thousand pods costs the API server as much as the pod's last one.
 */
export class FirstReports {
  #starting = 0;

  /**
   * A pod begins to be set up.
   * @param passes whose end ends the wait too
   * @param report what is done when it takes long
   * @returns to be called when it is set up
   */
  begin(passes: Pick<Passes, "later" | "cancel">, report: () => void): () => void {
    this.#starting++;
    const latest = performance.now() + LONGEST_MS;
    let timer: NodeJS.Timeout;
    const wait = (): void => {
      timer = passes.later(FIRST_REPORT_MS, () => {
        if (this.#starting > CROWD && performance.now() < latest) wait();
        else report();
      });
    };
    wait();
    return () => {
      this.#starting--;
      passes.cancel(timer);
    };
  }
}
