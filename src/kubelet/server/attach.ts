import { resizePty } from "#kernel/process/index.ts";
import type { RunningContainer } from "../runtime/index.ts";
import type { StreamOptions } from "./requests.ts";
import type { StreamSession } from "./session.ts";

/** Connects a client to a container's own streams until the container ends or the client goes. */
export async function runAttach(
  running: RunningContainer,
  options: StreamOptions,
  session: StreamSession,
): Promise<void> {
  const { outputs, pty } = running;
  const wanted = { stdout: options.stdout, stderr: options.stderr };
  const stop = outputs.onOutput((stream, chunk) => {
    // The container's output is read for its log in any case: a slow client cannot hold it up.
    if (wanted[stream]) session.send(stream, chunk, () => {});
  });
  session.listen({
    onStdin: (data) => {
      if (options.stdin && outputs.input && !outputs.input.destroyed) outputs.input.write(data);
    },
    onStdinEnd: () => {},
    onResize: (columns, rows) => {
      if (pty !== undefined && !outputs.input?.destroyed) resizePty(pty, columns, rows);
    },
    onGone: stop,
  });
  await running.exit;
  stop();
  // As upstream: the attachment has succeeded; how the container ended is in the pod's status.
  session.end({ exitCode: 0 });
}
