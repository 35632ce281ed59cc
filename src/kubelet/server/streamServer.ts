import type { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { createWebSocketStream, type WebSocket, WebSocketServer } from "ws";
import { errorMessage } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { SpdySession } from "#wire/spdy/index.ts";
import {
  type ChannelProtocol,
  chooseProtocol,
  PORT_FORWARD_PROTOCOLS,
  REMOTE_COMMAND_PROTOCOLS,
} from "#wire/websocket/index.ts";
import type { MirrorPods } from "../modules/index.ts";
import type { PodManager } from "../pods/index.ts";
import type { ProcessRuntime } from "../runtime/index.ts";
import { runAttach } from "./attach.ts";
import { dialPod } from "./dial.ts";
import { runExec } from "./exec.ts";
import { type FoundContainer, findContainer, findPlace } from "./find.ts";
import { type ForwardedPod, PORT_FORWARD_PROTOCOL, PortForwards } from "./portForward.ts";
import {
  type ContainerPath,
  parseContainerPath,
  parseStreamOptions,
  RequestError,
  type StreamOptions,
} from "./requests.ts";
import { SPDY_COMMAND_PROTOCOLS, SpdyStreams } from "./spdyStreams.ts";
import type { ClientStreams } from "./streams.ts";
import { beginSpdy, headerList, negotiate, upgradeKind } from "./upgrade.ts";
import { forwardPorts, parsePorts } from "./webSocketPorts.ts";
import { WebSocketStreams } from "./webSocketStreams.ts";

/** A WebSocket whose messages are the bytes of SPDY, as kubectl since 1.31 forwards ports (KEP-4006). */
const TUNNEL_PROTOCOL = `SPDY/3.1+${PORT_FORWARD_PROTOCOL}`;
/** A client over SPDY has to open all its streams within this time, in ms (upstream: StreamCreationTimeout). */
const STREAMS_MS = 30_000;
/** A connection on which nothing moves for so long is ended (upstream: streamingConnectionIdleTimeout). */
const IDLE_MS = 4 * 3600_000;
/** Longest message that is taken from a WebSocket, in bytes. */
const MAX_MESSAGE = 16 << 20;

/** What streams are served from. */
export interface StreamServerDeps {
  readonly pods: PodManager;
  readonly runtime: ProcessRuntime;
  readonly modules: Pick<MirrorPods, "find">;
  readonly log: Logger;
}

/** A connection that leaves HTTP. */
interface Upgrade {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

/** exec, attach and port-forward, over WebSocket and over SPDY/3.1. */
export class StreamServer {
  readonly #deps: StreamServerDeps;
  readonly #webSockets: WebSocketServer;

  constructor(deps: StreamServerDeps) {
    this.#deps = deps;
    this.#webSockets = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      maxPayload: MAX_MESSAGE,
      // Chosen before the handshake; this repeats it.
      handleProtocols: (_offered, request) => webSocketProtocol(request) || false,
    });
  }

  stop(): void {
    for (const socket of this.#webSockets.clients) socket.terminate();
  }

  /** Serves a request for an upgrade. @throws RequestError; nothing was answered then */
  upgrade(request: IncomingMessage, url: URL, socket: Duplex, head: Buffer): void {
    const upgrade = { request, socket, head };
    const path = parseContainerPath(url.pathname);
    endWhenIdle(socket);
    if (path?.verb === "portForward") return this.#portForward(upgrade, path, url.searchParams);
    if (path?.verb === "exec" || path?.verb === "attach") return this.#command(upgrade, path, url.searchParams);
    throw new RequestError(404, "404 page not found");
  }

  #portForward(upgrade: Upgrade, path: ContainerPath, query: URLSearchParams): void {
    const place = findPlace(this.#deps, path);
    const pod: ForwardedPod = { id: place.id, dial: (port) => dialPod(place, port) };
    if (upgradeKind(upgrade.request) === "spdy") {
      const protocol = negotiate(upgrade.request, [PORT_FORWARD_PROTOCOL]);
      const forwards = new PortForwards(pod);
      const session = beginSpdy(upgrade.socket, upgrade.head, protocol, (stream) => forwards.add(stream));
      void session.closed.then(() => forwards.close());
      return;
    }
    if (webSocketProtocol(upgrade.request) === TUNNEL_PROTOCOL) {
      this.#accept(upgrade, (webSocket) => tunnel(webSocket, pod));
      return;
    }
    const protocol = agreed(upgrade.request, PORT_FORWARD_PROTOCOLS);
    const ports = parsePorts(query);
    this.#accept(upgrade, (webSocket) => forwardPorts(webSocket, protocol, ports, pod));
  }

  /** exec and attach. */
  #command(upgrade: Upgrade, path: ContainerPath, query: URLSearchParams): void {
    const found = this.#find(upgrade, path);
    if (!found) return;
    const options = parseStreamOptions(query);
    const { unit, running } = found;
    const run = (streams: ClientStreams): Promise<void> =>
      path.verb === "attach"
        ? runAttach(running, unit.container.stdinOnce ?? false, options, streams)
        : runExec(this.#deps.runtime, unit, running, options, streams);
    const serve = (serving: Promise<void>, end: () => void) => {
      serving.catch((error: unknown) => {
        this.#deps.log.error("A stream failed", { verb: path.verb, pod: path.pod, error: errorMessage(error) });
        end();
      });
    };
    if (upgradeKind(upgrade.request) === "websocket") {
      const protocol = agreed(upgrade.request, REMOTE_COMMAND_PROTOCOLS);
      this.#accept(upgrade, (socket) => serve(run(new WebSocketStreams(socket, protocol)), () => socket.terminate()));
      return;
    }
    const { session, streams } = spdyStreams(upgrade, options);
    serve(
      streams.complete(STREAMS_MS).then(() => run(streams)),
      () => session.destroy(),
    );
  }

  /** Undefined when the client has been told that there is nothing to enter. @throws RequestError otherwise */
  #find(upgrade: Upgrade, path: ContainerPath): FoundContainer | undefined {
    try {
      return findContainer(this.#deps, path);
    } catch (error) {
      const { request } = upgrade;
      if (upgradeKind(request) !== "websocket") throw error;
      const protocol = agreed(request, REMOTE_COMMAND_PROTOCOLS);
      // Of version 5 kube-apiserver makes SPDY on its way to the node, when it has agreed to the WebSocket already.
      if (protocol.name !== "v5.channel.k8s.io") throw error;
      const refusal = { error: `unable to upgrade connection: ${errorMessage(error)}` };
      this.#accept(upgrade, (socket) => new WebSocketStreams(socket, protocol).end(refusal));
      return undefined;
    }
  }

  #accept({ request, socket, head }: Upgrade, use: (webSocket: WebSocket) => void): void {
    this.#webSockets.handleUpgrade(request, socket, head, use);
  }
}

function endWhenIdle(socket: Duplex): void {
  if (!(socket instanceof Socket)) return;
  socket.setTimeout(IDLE_MS);
  socket.on("timeout", () => socket.destroy());
}

function spdyStreams({ request, socket, head }: Upgrade, options: StreamOptions) {
  const protocol = negotiate(request, SPDY_COMMAND_PROTOCOLS);
  let streams: SpdyStreams | undefined;
  const session = beginSpdy(socket, head, protocol, (stream) => streams?.add(stream));
  streams = new SpdyStreams(session, protocol, options);
  return { session, streams };
}

function tunnel(webSocket: WebSocket, pod: ForwardedPod): void {
  webSocket.on("error", () => webSocket.terminate());
  const forwards = new PortForwards(pod);
  const transport = createWebSocketStream(webSocket);
  const session = new SpdySession(transport, { side: "server", onStream: (stream) => forwards.add(stream) });
  void session.closed.then(() => {
    forwards.close();
    webSocket.close();
  });
}

/** What is answered in Sec-WebSocket-Protocol; empty for nothing. */
function webSocketProtocol(request: IncomingMessage): string {
  const offered = headerList(request, "sec-websocket-protocol");
  if (!(request.url ?? "").startsWith("/portForward/"))
    return chooseProtocol(REMOTE_COMMAND_PROTOCOLS, offered)?.name ?? "";
  if (offered.includes(TUNNEL_PROTOCOL)) return TUNNEL_PROTOCOL;
  return chooseProtocol(PORT_FORWARD_PROTOCOLS, offered)?.name ?? "";
}

/** @throws RequestError when the client offers none that is known */
function agreed(request: IncomingMessage, known: readonly ChannelProtocol[]): ChannelProtocol {
  const offered = headerList(request, "sec-websocket-protocol");
  const chosen = chooseProtocol(known, offered);
  if (chosen) return chosen;
  const names = known.flatMap(({ name }) => (name === "" ? [] : [name]));
  throw new RequestError(
    403,
    `requested protocol(s) are not supported: [${offered.join(" ")}]; supports [${names.join(" ")}]`,
  );
}
