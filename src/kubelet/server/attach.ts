import { resizePty } from "#kernel/process/index.ts";
import type { RunningContainer } from "../runtime/index.ts";
import type { StreamOptions } from "./requests.ts";
import { type ClientStreams, writeSlowly } from "./streams.ts";

/** End-of-file character of a terminal. */
const LINE_END = 4;

/**
 * Connects a client to a container's own streams until the container ends or the client goes.
 * @param once the container's input ends with this client's
 */
export async function runAttach(
  running: RunningContainer,
  once: boolean,
  options: StreamOptions,
  session: ClientStreams,
): Promise<void> {
  const { outputs, pty } = running;
  const wanted = { stdout: options.stdout, stderr: options.stderr };
  const stop = outputs.onOutput((stream, chunk) => {
    // The container's output is read for its log in any case: a slow client cannot hold it up.
    if (wanted[stream]) session.send(stream, chunk, () => {});
  });
  const endInput = () => {
    if (!once || !options.stdin || outputs.input?.destroyed) return;
    if (pty === undefined) outputs.input?.end();
    else outputs.input?.write(Buffer.of(LINE_END));
  };
  session.listen({
    onStdin: (data, resume) => {
      if (!options.stdin || !outputs.input || outputs.input.destroyed) return true;
      return writeSlowly(outputs.input, data, resume);
    },
    onStdinEnd: endInput,
    onResize: (columns, rows) => {
      if (pty !== undefined && !outputs.input?.destroyed) resizePty(pty, columns, rows);
    },
    onGone: () => {
      stop();
      endInput();
    },
  });
  await running.exit;
  stop();
  // As upstream: the attachment has succeeded; how the container ended is in the pod's status.
  session.end({ exitCode: 0 });
}
