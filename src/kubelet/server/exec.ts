import { randomBytes } from "node:crypto";
import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { ReadStream } from "node:tty";
import { errorMessage } from "#base/errors.ts";
import { type Child, makePipe, ProgramError, resizePty } from "#kernel/process/index.ts";
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
): Promise<{ child: Child; streams: CommandStreams }> {
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
  const input = stdin ? makePipe() : undefined;
  const out = stdout ? makePipe() : undefined;
  const err = stderr ? makePipe() : undefined;
  const theirs = [input?.read ?? null, out?.write ?? null, err?.write ?? null];
  try {
    const child = await runtime.exec(running, { ...request, stdio: theirs });
    const reader = (fd: number) => new Socket({ fd, readable: true, writable: false });
    const outputs = [
      ...(out ? [["stdout", reader(out.read)] as const] : []),
      ...(err ? [["stderr", reader(err.read)] as const] : []),
    ];
    const writer = input ? { stdin: new Socket({ fd: input.write, readable: false, writable: true }) } : {};
    return { child, streams: { ...writer, outputs } };
  } finally {
    for (const fd of theirs) if (fd !== null) closeSync(fd);
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
