import type { ServiceBackend } from "./backends/index.ts";

/** So many Services come together where they come in portions. */
const PORTION = 500;

/**
 * Computes Services and puts them into effect, all in one commit. Where nothing is there yet they come in portions, so
 * that the kernel works on one while the next is computed.
 * @param waiting keys of the Services; what has been computed is taken out
 * @param readBack reads what is there, where that is not known
 * @throws what the backend throws; what is left in `waiting` then has not been computed
 */
export async function putIntoEffect(
  backend: ServiceBackend,
  waiting: Set<string>,
  readBack: (() => Promise<void>) | undefined,
  compute: (key: string) => void,
): Promise<void> {
  const take = (most: number): void => {
    for (const key of waiting) {
      if (most-- <= 0) return;
      waiting.delete(key);
      compute(key);
    }
  };
  if (!readBack || !backend.isEmpty) {
    take(waiting.size);
    await readBack?.();
    return backend.commit();
  }
  await readBack();
  const most = backend.isEmpty() ? PORTION : waiting.size;
  const commits: Promise<void>[] = [];
  try {
    do {
      take(most);
      // One is in the kernel, and one waits for it.
      await commits.at(-2);
      const commit = backend.commit();
      commit.catch(() => {}); // its turn to be waited for comes
      commits.push(commit);
    } while (waiting.size > 0);
    await Promise.all(commits);
  } finally {
    // When one fails, what is read next must not change any more.
    await Promise.allSettled(commits);
  }
}
