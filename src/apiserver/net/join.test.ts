import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { joinConnections, joinSwitched } from "./join.ts";

/** A connection over loopback: our end of it, and the other one. */
async function connection(): Promise<{ near: Socket; far: Socket }> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const far = connect({ port: (server.address() as AddressInfo).port, host: "127.0.0.1", allowHalfOpen: true });
  const [near] = (await once(server, "connection")) as [Socket];
  server.close();
  return { near, far };
}

async function joined(): Promise<{ client: Socket; target: Socket }> {
  const [a, b] = await Promise.all([connection(), connection()]);
  joinConnections(a.near, b.near);
  return { client: a.far, target: b.far };
}

describe("two joined connections", () => {
  it("bring everything to a client that reads late, though the other side is long gone", async () => {
    const { client, target } = await joined();
    const size = 16 << 20;
    target.end(Buffer.alloc(size, 1));
    target.resume();
    await once(client, "readable");
    await new Promise((resolve) => setTimeout(resolve, 300));
    let received = 0;
    for await (const data of client) received += (data as Buffer).length;
    expect(received).toBe(size);
  });

  it("bring the answer to a client that is still sending", async () => {
    const { client, target } = await joined();
    client.on("error", () => {});
    target.on("error", () => {});
    target.resume();
    target.end("that is enough");
    // It goes without waiting for the client's end, which has not noticed.
    const sending = setInterval(() => client.write(Buffer.alloc(64 << 10)), 1);
    setTimeout(() => target.destroy(), 100);
    await once(target, "close");
    await new Promise((resolve) => setTimeout(resolve, 100));
    let text = "";
    client.on("data", (data: Buffer) => (text += data.toString()));
    await once(client, "end");
    clearInterval(sending);
    expect(text).toBe("that is enough");
    client.destroy();
  });

  it("end each direction on its own", async () => {
    const { client, target } = await joined();
    client.end("question");
    let asked = "";
    for await (const data of target) asked += (data as Buffer).toString();
    expect(asked).toBe("question");
    target.end("answer");
    let answered = "";
    for await (const data of client) answered += (data as Buffer).toString();
    expect(answered).toBe("answer");
  });

  it("are cut off together", async () => {
    const { client, target } = await joined();
    const ended = once(client.resume(), "end");
    target.resetAndDestroy();
    await ended;
    client.destroy();
    const other = await joined();
    const gone = once(other.target.resume(), "end");
    other.client.resetAndDestroy();
    await gone;
    other.target.destroy();
  });
});

describe("a client and a server that may leave HTTP", () => {
  async function switching(early: string): Promise<{ client: Socket; target: Socket; joined: Promise<void> }> {
    const [a, b] = await Promise.all([connection(), connection()]);
    return { client: a.far, target: b.far, joined: joinSwitched(a.near, b.near, Buffer.from(early)) };
  }

  it("are joined when the server has agreed, in however many parts it says so", async () => {
    const { client, target, joined } = await switching("early");
    target.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r");
    setTimeout(() => target.write("\n\r\nhello"), 20);
    await joined;
    client.end(" later");
    let sent = "";
    for await (const data of target) sent += String(data);
    expect(sent).toBe("early later");
    target.end();
    let received = "";
    for await (const data of client) received += String(data);
    expect(received).toBe("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nhello");
  });

  it("are not when it answers anything else: no second request reaches it", async () => {
    const { client, target, joined } = await switching("GET /pods HTTP/1.1\r\n\r\n");
    target.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno");
    await joined;
    client.write("GET /run HTTP/1.1\r\n\r\n");
    let sent = "";
    for await (const data of target) sent += String(data);
    expect(sent).toBe("");
    target.end();
    let received = "";
    for await (const data of client) received += String(data);
    expect(received).toMatch(/ 400 Bad Request.*no$/s);
  });

  it("hear of a server that ends without an answer", async () => {
    const { target, joined } = await switching("");
    target.destroy();
    await expect(joined).rejects.toThrow("unexpected EOF");
  });
});
