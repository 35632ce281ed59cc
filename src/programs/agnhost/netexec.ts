import { exec } from "node:child_process";
import { createSocket } from "node:dgram";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { hostname } from "node:os";
import { dial } from "./dial.ts";

/** How long a command of /shell may run, in ms, and what it may print. */
const SHELL_MS = 60_000;
const MAX_OUTPUT = 4 * 1024 * 1024;

/** Answers of `agnhost netexec` by path (kubernetes/test/images/agnhost/README.md, netexec). */
type Answer = (query: URLSearchParams, request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

const plainIp = (address = "") => address.replace(/^::ffff:/, "");

const ANSWERS: Readonly<Record<string, Answer>> = {
  "/": (_query, _request, response) => void response.end(`NOW: ${new Date().toISOString()}`),
  "/hostname": (_query, _request, response) => void response.end(hostname()),
  "/clientip": (_query, { socket }, response) =>
    void response.end(`${plainIp(socket.remoteAddress)}:${socket.remotePort}`),
  "/healthz": (_query, _request, response) => void response.end(),
  "/echo": (query, _request, response) => {
    const code = Number(query.get("code") || 200);
    response.writeHead(code >= 200 && code <= 599 ? code : 400).end(query.get("msg") ?? "");
  },
  "/exit": (query, _request, response) => {
    response.end(() => process.exit(Number(query.get("code") || 0) & 0xff));
  },
  "/shell": (query, _request, response) => {
    const command = query.get("shellCommand") ?? query.get("cmd") ?? "";
    exec(command, { timeout: SHELL_MS, maxBuffer: MAX_OUTPUT }, (error, stdout, stderr) => {
      const failure = error ? { error: `exit status ${error.code ?? 1}` } : {};
      response.end(JSON.stringify({ output: stdout + stderr, ...failure }));
    });
  },
  "/dial": async (query, _request, response) => void response.end(JSON.stringify(await dial(query))),
};

/** `agnhost netexec`: a server that says who asks whom. */
export function netexec(httpPort: number, udpPort: number): void {
  const server = createServer((request, response) => {
    // Not as a URL: `//` is none, and any client can ask for it.
    const [path = "", query] = (request.url ?? "/").split("?", 2);
    const answer = ANSWERS[path.toLowerCase()];
    if (!answer) return void response.writeHead(404).end("404 page not found\n");
    console.log(`${new Date().toISOString()} ${request.method} ${request.url}`);
    const answering = async () => answer(new URLSearchParams(query), request, response);
    answering().catch((error: Error) => response.writeHead(500).end(error.message));
  });
  server.listen(httpPort, "::", () => console.log(`Started HTTP server on port ${httpPort}`));
  const udp = createSocket({ type: "udp6", ipv6Only: false });
  udp.on("message", (message, peer) =>
    udp.send(udpAnswer(message.toString().trim(), plainIp(peer.address), peer.port), peer.port, peer.address),
  );
  udp.bind(udpPort, "::", () => console.log(`Started UDP server on port  ${udpPort}`));
}

function udpAnswer(text: string, address: string, port: number): string {
  const [command = "", ...words] = text.split(" ");
  if (command.toLowerCase() === "hostname") return hostname();
  if (command === "echo") return words.join(" ");
  return command === "clientip" ? `${address}:${port}` : "";
}

/** `agnhost serve-hostname`: every request is answered with this machine's name. */
export function serveHostname(port: number): void {
  createServer((_request, response) => response.end(hostname())).listen(port, "::");
}

/** `agnhost porter`: each variable SERVE_PORT_n is what port n answers. */
export function porter(env: NodeJS.ProcessEnv): void {
  for (const [name, text] of Object.entries(env)) {
    const port = /^SERVE_PORT_(\d{1,5})$/.exec(name)?.[1];
    if (port !== undefined) createServer((_request, response) => response.end(text)).listen(Number(port), "::");
  }
}
