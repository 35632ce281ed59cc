import { resizePty } from "#kernel/process/index.ts";
import type { RunningContainer } from "../runtime/index.ts";
import type { StreamOptions } from "./requests.ts";
import { type ClientStreams, writeSlowly } from "./streams.ts";

/** A client that is further behind than this, in bytes, beyond what waits for it already, is let go. */
const LIMIT = 8 << 20;
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
  let behind = 0;
  let letGo = false;
  const stop = outputs.attach((stream, chunk) => {
    if (!wanted[stream] || letGo) return;
    // The container's output is read for its log in any case: a slow client cannot hold it up.
    const inTime = session.send(stream, chunk, () => {
      behind = 0;
    });
    behind = inTime ? 0 : behind + chunk.length;
    if (behind <= LIMIT) return;
    letGo = true;
    session.end({ error: "the client reads more slowly than the container writes: attach again, or read its log" });
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
