import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { duplexPair } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { afterAll, describe, expect, it } from "vitest";
import { SpdySession, type SpdyStream } from "#wire/spdy/index.ts";
import { dialPod } from "./dial.ts";
import { type ForwardedPod, PortForwards } from "./portForward.ts";

const servers: Server[] = [];
afterAll(() => {
  for (const server of servers) server.close();
});

/** A TCP server on loopback. @returns its port */
async function serve(handle: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, handle).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** A client's session with the forwards of a pod. */
function forwarding(pod: Partial<ForwardedPod> = {}) {
  const [a, b] = duplexPair();
  const forwards = new PortForwards({ id: "sandbox", dial: (port) => dialPod({ id: "sandbox" }, port), ...pod });
  const server = new SpdySession(b, { side: "server", onStream: (stream) => forwards.add(stream) });
  void server.closed.then(() => forwards.close());
  const client = new SpdySession(a, { side: "client" });
  let next = 0;
  /** As kubectl: the error stream first, of which its own half is closed at once. */
  const open = (port: number | string): { data: SpdyStream; error: SpdyStream } => {
    const headers = { port: String(port), requestid: String(next++) };
    const error = client.open({ ...headers, streamtype: "error" });
    error.end();
    return { error, data: client.open({ ...headers, streamtype: "data" }) };
  };
  return { client, server, open };
}

describe("U02 port-forward over SPDY (part: a pod's connections)", () => {
  it("carries many connections at once, whole, both ways", async () => {
    const port = await serve((socket) => socket.pipe(socket));
    const { open, client } = forwarding();
    const all = Array.from({ length: 50 }, async (_, i) => {
      const sent = randomBytes(1000 * i);
      const { data, error } = open(port);
      data.end(sent);
      expect((await buffer(data)).equals(sent)).toBe(true);
      expect(await text(error)).toBe("");
    });
    await Promise.all(all);
    expect(client.size).toBe(0);
  });

  it("half-closes: what is asked ends, what is answered comes then", async () => {
    const port = await serve((socket) => void text(socket).then((asked) => socket.end(`asked: ${asked}`)));
    const { open } = forwarding();
    const { data } = open(port);
    data.end("question");
    expect(await text(data)).toBe("asked: question");
  });

  it("half-closes the other way: the server ends, and still hears", async () => {
    const heard = Promise.withResolvers<string>();
    const port = await serve((socket) => {
      socket.end("bye");
      void text(socket).then(heard.resolve);
    });
    const { open } = forwarding();
    const { data } = open(port);
    expect(await text(data)).toBe("bye");
    data.end("still here");
    expect(await heard.promise).toBe("still here");
  });

  it("says on the error stream what failed, in upstream's words", async () => {
    const port = await serve(() => {});
    const server = servers.pop() as Server;
    await new Promise((resolve) => server.close(resolve));
    const { open } = forwarding();
    const { data, error } = open(port);
    expect(await text(error)).toBe(
      `error forwarding port ${port} to pod sandbox, uid : failed to execute portforward in network namespace "host": failed to connect to localhost:${port} inside namespace "sandbox", IPv4: dial tcp4 127.0.0.1:${port}: connect: connection refused IPv6 dial tcp6 [::1]:${port}: connect: connection refused `,
    );
    expect(await text(data)).toBe("");
  });

  it("reaches what listens on IPv6 alone", async () => {
    const server = createServer((socket) => socket.end("six")).listen({ port: 0, host: "::1" });
    servers.push(server);
    await once(server, "listening");
    const { open } = forwarding();
    expect(await text(open((server.address() as AddressInfo).port).data)).toBe("six");
  });

  it("resets streams without a port or a type", async () => {
    const { client } = forwarding();
    for (const headers of [
      { streamtype: "data", requestid: "1" },
      { streamtype: "data", port: "x", requestid: "2" },
      { streamtype: "data", port: "0", requestid: "3" },
      { streamtype: "data", port: "65536", requestid: "4" },
      { port: "80", requestid: "5" },
      { streamtype: "stdin", port: "80", requestid: "6" },
    ]) {
      const stream = client.open(headers);
      await once(stream, "close");
      expect(stream.readableEnded).toBe(false);
    }
  });

  it("ends the connections of a client that goes, and the client's of a server that goes", async () => {
    const accepted = Promise.withResolvers<Socket>();
    const port = await serve((socket) => {
      socket.on("error", () => {});
      accepted.resolve(socket);
    });
    const { open, client } = forwarding();
    open(port);
    const socket = await accepted.promise;
    const closed = once(socket, "close");
    socket.resume();
    client.destroy();
    socket.end();
    await closed;
    const cut = await serve((one) => one.once("data", () => one.resetAndDestroy()));
    const { data } = forwarding().open(cut);
    data.write("x");
    await once(data, "close");
    expect(data.readableEnded).toBe(false);
  });

  it("holds little of what a stopped reader does not take, and then brings all of it", async () => {
    const total = 64 << 20;
    let sent = 0;
    const port = await serve((socket) => {
      const chunk = Buffer.alloc(64 * 1024, 7);
      const write = () => {
        while (sent < total) {
          sent += chunk.length;
          if (!socket.write(chunk)) return;
        }
        socket.end();
      };
      socket.on("drain", write);
      write();
    });
    const { open } = forwarding();
    const { data } = open(port);
    await once(data, "readable");
    // Until it no longer moves: what is sent is in the kernel's buffers, or in ours.
    for (let before = -1; before !== sent; ) {
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(sent).toBeLessThan(total / 2);
    let received = 0;
    for await (const chunk of data) received += (chunk as Buffer).length;
    expect(received).toBe(total);
  });
});

describe("a pod's dialer", () => {
  it("says which namespace is gone", async () => {
    await expect(dialPod({ id: "x", netns: "/run/netns/none" }, 1)).rejects.toThrow(
      'failed to execute portforward in network namespace "/run/netns/none": no such file or directory',
    );
  });
});
