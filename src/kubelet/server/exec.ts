import { randomBytes } from "node:crypto";
import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { ReadStream } from "node:tty";
import { errorMessage } from "#base/errors.ts";
import { type Child, makePipe, type PipeEnds, ProgramError, resizePty } from "#kernel/process/index.ts";
import { type ContainerUnit, containerSecurity } from "../pods/index.ts";
import { type ProcessRuntime, type RunningContainer, startFailure } from "../runtime/index.ts";
import { OutputPump } from "./outputPump.ts";
import type { StreamOptions } from "./requests.ts";
import { type ClientStreams, writeSlowly } from "./streams.ts";

const SIGHUP = 1;
const SIGKILL = 9;
/** After a command's end, output that its background processes hold open is read until it is silent so long, in ms. */
const DRAIN_MS = 200;
const LINE_END = 4;

/** Streams of a running command in this process. */
interface CommandStreams {
  readonly stdin?: Socket;
  readonly outputs: readonly (readonly ["stdout" | "stderr", Socket])[];
}

interface StartedCommand {
  readonly child: Child;
  readonly streams: CommandStreams;
}

/** Runs a command in a container for a client, from start to status. */
export async function runExec(
  runtime: ProcessRuntime,
  unit: ContainerUnit,
  running: RunningContainer,
  options: StreamOptions,
  session: ClientStreams,
): Promise<void> {
  try {
    const { child, streams } = await start(runtime, unit, running, options);
    connect(child, streams, session);
    const pumps = streams.outputs.map(([stream, socket]) => new OutputPump(stream, socket, session));
    const { code, signal } = await child.exit;
    await Promise.all(pumps.map((pump) => pump.drained(DRAIN_MS)));
    for (const [, socket] of streams.outputs) socket.destroy();
    streams.stdin?.destroy();
    session.end({ exitCode: code ?? 128 + (signal ?? SIGKILL) });
  } catch (error) {
    const why =
      error instanceof ProgramError
        ? startFailure(randomBytes(32).toString("hex"), error.message)
        : errorMessage(error);
    session.end({ error: `error executing command in container: ${why}` });
  }
}

async function start(
  runtime: ProcessRuntime,
  unit: ContainerUnit,
  running: RunningContainer,
  { command, tty, stdin, stdout, stderr }: StreamOptions,
): Promise<StartedCommand> {
  const [program, ...args] = command;
  if (program === undefined) throw new Error("the command is empty");
  const { user, capabilities, mayGainPrivileges } = containerSecurity(unit.container, unit.record?.user);
  const request = {
    argv: [program, ...args] as [string, ...string[]],
    tty,
    ...(tty ? { env: { TERM: "xterm" } } : {}),
    ...(user ? { user } : {}),
    ...(capabilities ? { capabilities, mayGainPrivileges } : {}),
  };
  if (tty) {
    const child = await runtime.exec(running, { ...request, stdio: [] });
    const terminal = new ReadStream(child.pty ?? -1);
    return { child, streams: { stdin: terminal, outputs: [["stdout", terminal]] } };
  }
  return startPiped((stdio) => runtime.exec(running, { ...request, stdio }), { stdin, stdout, stderr });
}

/** Starts a command whose streams are pipes. None of their ends is left open when it does not start. */
async function startPiped(
  exec: (stdio: readonly (number | null)[]) => Promise<Child>,
  { stdin, stdout, stderr }: Pick<StreamOptions, "stdin" | "stdout" | "stderr">,
): Promise<StartedCommand> {
  const open = new Set<number>();
  const pipe = (isWanted: boolean) => {
    if (!isWanted) return undefined;
    const ends = makePipe();
    open.add(ends.read).add(ends.write);
    return ends;
  };
  // A socket closes its end by itself.
  const socket = (fd: number, direction: { readable: boolean; writable: boolean }) => {
    open.delete(fd);
    return new Socket({ fd, ...direction });
  };
  try {
    const [input, out, err] = [pipe(stdin), pipe(stdout), pipe(stderr)];
    const theirs = [input?.read ?? null, out?.write ?? null, err?.write ?? null];
    const child = await exec(theirs);
    const reader = ({ read }: PipeEnds) => socket(read, { readable: true, writable: false });
    const outputs = [
      ...(out ? [["stdout", reader(out)] as const] : []),
      ...(err ? [["stderr", reader(err)] as const] : []),
    ];
    const writer = input ? { stdin: socket(input.write, { readable: false, writable: true }) } : {};
    return { child, streams: { ...writer, outputs } };
  } finally {
    for (const fd of open) closeSync(fd);
  }
}

/** From the client to the command. */
function connect(child: Child, { stdin, outputs }: CommandStreams, session: ClientStreams): void {
  const pty = child.pty;
  stdin?.on("error", () => {});
  session.listen({
    onStdin: (data, resume) => stdin === undefined || writeSlowly(stdin, data, resume),
    // A terminal has no end; its end-of-file character says the same.
    onStdinEnd: () => (pty === undefined ? stdin?.end() : stdin?.write(Buffer.of(LINE_END))),
    onResize: (columns, rows) => {
      if (pty !== undefined && !stdin?.destroyed) resizePty(pty, columns, rows);
    },
    onGone: () => {
      for (const [, socket] of outputs) socket.destroy();
      stdin?.destroy();
      // As the end of a terminal's line; what ignores it goes on, as with every container runtime.
      if (pty !== undefined) child.kill(SIGHUP);
    },
  });
}
