import { chmodSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { createInterface } from "node:readline";
import type { NodeRequest } from "./nodeChanges.ts";

/** A request of another command to a running cluster: one line of JSON; the answer is one line too. */
export type ControlRequest =
  | { readonly command: "status" }
  | { readonly command: "down" }
  /** Adds, removes, starts or stops a node. */
  | { readonly command: "node"; readonly request: NodeRequest }
  /** How to enter the lab: pids for nsenter(1). */
  | { readonly command: "enter"; readonly machine: string }
  /** Sends a signal to a process of the lab. */
  | { readonly command: "signal"; readonly process: string; readonly signal: number };

/** The answer: a value or what went wrong. */
export type ControlAnswer =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly code: string; readonly message: string };

const MAX_LINE = 64 * 1024;
/** Of an answer; a status with a thousand nodes has a few hundred KiB. */
const MAX_ANSWER = 16 * 1024 * 1024;
/** How long an answer may take, in ms: one that takes longer comes from a process that has been stopped. */
const ANSWER_MS = 10_000;

/** Serves control requests on a unix socket that only its owner may open. */
export function serveControl(path: string, handle: (request: ControlRequest) => Promise<unknown>): Promise<Server> {
  rmSync(path, { force: true });
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    let length = 0;
    socket.on("data", (data) => {
      length += data.length;
      if (length > MAX_LINE) socket.destroy();
    });
    createInterface({ input: socket }).on("line", (line) => void answer(socket, line, handle));
  });
  server.maxConnections = 64;
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      chmodSync(path, 0o600);
      resolve(server);
    });
  });
}

async function answer(
  socket: Socket,
  line: string,
  handle: (request: ControlRequest) => Promise<unknown>,
): Promise<void> {
  let reply: ControlAnswer;
  try {
    reply = { ok: true, value: (await handle(JSON.parse(line) as ControlRequest)) ?? null };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    reply = { ok: false, code: code ?? "Failed", message };
  }
  socket.end(`${JSON.stringify(reply)}\n`);
}

/**
 * Asks a running cluster.
 * @throws Error of the connection (ENOENT, ECONNREFUSED: nobody runs there), or what the cluster answered
 */
export function askControl(path: string, request: ControlRequest): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let text = "";
    socket.setEncoding("utf8");
    socket.on("connect", () => socket.write(`${JSON.stringify(request)}\n`));
    socket.on("data", (data: string) => {
      text += data;
      if (text.length > MAX_ANSWER) socket.destroy(new Error("the cluster's answer is too long"));
    });
    socket.setTimeout(ANSWER_MS, () =>
      socket.destroy(new Error(`the cluster's process does not answer (${ANSWER_MS / 1000} s): is it stopped?`)),
    );
    socket.on("error", reject);
    socket.on("end", () => {
      if (!text) return reject(new Error("the cluster ended before it answered"));
      const reply = JSON.parse(text) as ControlAnswer;
      if (reply.ok) resolve(reply.value);
      else reject(Object.assign(new Error(reply.message), { code: reply.code }));
    });
  });
}
