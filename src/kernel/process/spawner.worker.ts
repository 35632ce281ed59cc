import { parentPort } from "node:worker_threads";
import { NamespaceSpawner, type Spawned } from "./namespaceSpawner.ts";
import type { SpawnRequest } from "./request.ts";

/** The thread that starts processes. Requests are served one after the other, synchronously. */

/** Message of the main thread. */
export interface SpawnMessage {
  readonly id: number;
  readonly request: SpawnRequest;
}

/** Answer to it. */
export type SpawnAnswer =
  | { readonly id: number; readonly spawned: Spawned }
  | {
      readonly id: number;
      readonly error: {
        name: string;
        message: string;
        code?: string | undefined;
        errno?: number | undefined;
        syscall?: string | undefined;
      };
    };

function serve(): void {
  const port = parentPort;
  if (!port) throw new Error("the spawner runs in a worker thread");
  const thread = new NamespaceSpawner();
  port.on("message", ({ id, request }: SpawnMessage) => {
    try {
      port.postMessage({ id, spawned: thread.spawn(request) } satisfies SpawnAnswer);
    } catch (error) {
      const { name, message, code, errno, syscall } = error as NodeJS.ErrnoException;
      port.postMessage({ id, error: { name, message, code, errno, syscall } } satisfies SpawnAnswer);
    }
  });
  port.postMessage("ready");
}

serve();
