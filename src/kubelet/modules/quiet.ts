import type { Informer, KubeObject } from "#api/index.ts";

/** Resolves when nothing has changed for `ms`, counted from now on; never when the signal is aborted before. */
export function quiet<T extends KubeObject>(
  informer: Pick<Informer<T>, "onChange">,
  ms: number,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      unsubscribe();
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    const unsubscribe = informer.onChange(() => timer.refresh());
    const stop = () => {
      unsubscribe();
      clearTimeout(timer);
    };
    signal.addEventListener("abort", stop, { once: true });
  });
}
