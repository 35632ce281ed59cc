import { resizePty } from "#kernel/process/index.ts";
import type { RunningContainer } from "#kubelet/runtime/index.ts";

const SIGKILL = 9;

/** Brings this process's streams and a container's together. @returns what gives the terminal back as it was */
export function attach(
  container: RunningContainer,
  wish: { readonly stdin: boolean; readonly tty: boolean },
): () => void {
  container.outputs.onOutput(
    (stream, chunk) => void (stream === "stdout" ? process.stdout : process.stderr).write(chunk),
  );
  // Nobody reads any more: the container is not to write for ever.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => container.kill(SIGKILL));
  if (wish.tty) followSize(container);
  return wish.stdin ? connectInput(container, wish.tty) : () => undefined;
}

function followSize({ pty }: RunningContainer): void {
  if (pty === undefined || !process.stdout.isTTY) return;
  const tell = () => resizePty(pty, process.stdout.columns, process.stdout.rows);
  tell();
  process.stdout.on("resize", tell);
}

function connectInput({ outputs: { input } }: RunningContainer, tty: boolean): () => void {
  if (!input) return () => undefined;
  // A container that reads nothing, or has ended.
  input.on("error", () => undefined);
  process.stdin.on("error", () => undefined);
  // A terminal's end is no end of input: it is closed with the container.
  process.stdin.pipe(input, { end: !tty });
  if (!tty || !process.stdin.isTTY) return () => undefined;
  process.stdin.setRawMode(true);
  return () => process.stdin.setRawMode(false);
}
