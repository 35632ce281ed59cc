import { rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { errorMessage } from "#base/errors.ts";
import type { ServedContainer } from "../pods/index.ts";
import type { EchoServers } from "./servers.ts";

/** A line from the node agent. */
export type EchoCommand =
  | { readonly id: number; readonly op: "add"; readonly container: ServedContainer }
  | { readonly id: number; readonly op: "remove"; readonly container: string }
  | { readonly id: number; readonly op: "retain"; readonly containers: readonly string[] };

/** The line that answers it; without an error it was done. */
export interface EchoReply {
  readonly id: number;
  readonly error?: string;
}

async function carryOut(servers: EchoServers, command: EchoCommand): Promise<void> {
  if (command.op === "add") await servers.add(command.container);
  else if (command.op === "remove") servers.remove(command.container);
  else servers.retain(command.containers);
}

/** Calls back with each line that comes. (readline would turn a broken connection into an error of its own.) */
export function onLines(socket: Socket, take: (line: string) => void): void {
  let rest = "";
  socket.setEncoding("utf8");
  socket.on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) take(line);
  });
}

function serveAgent(socket: Socket, servers: EchoServers): void {
  socket.on("error", () => socket.destroy());
  onLines(socket, (line) => {
    const command = JSON.parse(line) as EchoCommand;
    carryOut(servers, command).then(
      () => socket.write(`${JSON.stringify({ id: command.id } satisfies EchoReply)}\n`),
      (error: unknown) =>
        socket.write(`${JSON.stringify({ id: command.id, error: errorMessage(error) } satisfies EchoReply)}\n`),
    );
  });
}

/** Takes commands on a unix socket. One that an earlier process left at the path is replaced. */
export async function listenForAgents(path: string, servers: EchoServers): Promise<Server> {
  rmSync(path, { force: true });
  const server = createServer((socket) => serveAgent(socket, servers));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  return server;
}
