import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { isErrno } from "#kernel/ffi/index.ts";
import {
  connectTcp,
  inNetns,
  listenTcp,
  localPort,
  type Netns,
  newNetns,
  openNetns,
  pinNetns,
  setSysctls,
  sysctlPath,
  udpSocket,
  unpinNetns,
  warmThreadPool,
} from "#kernel/namespaces/index.ts";
import { openRtnetlink } from "#kernel/netlink/index.ts";

let a: Netns;
let b: Netns;
beforeAll(warmThreadPool);
beforeEach(() => {
  a = newNetns();
  b = newNetns();
  const inA = openRtnetlink(a);
  inA.apply([
    {
      op: "add-link",
      name: "eth0",
      index: 2,
      up: true,
      kind: { type: "veth", peer: { name: "eth0", index: 2, netns: b.fd } },
    },
    { op: "add-address", index: 2, address: "10.0.0.1/24" },
    { op: "add-address", index: 2, address: "fd00::1/64" },
  ]);
  inA.close();
  const inB = openRtnetlink(b);
  inB.apply([
    { op: "set-link", index: 2, up: true },
    { op: "add-address", index: 2, address: "10.0.0.2/24" },
    { op: "add-address", index: 2, address: "fd00::2/64" },
  ]);
  inB.close();
});
afterEach(() => {
  a.close();
  b.close();
});

const identity = () => readlinkSync("/proc/thread-self/ns/net");

describe("network namespaces", () => {
  it("enters and comes back, after an error too", () => {
    const home = identity();
    const inside = inNetns(a, identity);
    expect(inside).not.toBe(home);
    expect(inNetns(b, identity)).not.toBe(inside);
    expect(() =>
      inNetns(a, () => {
        throw new Error("inside");
      }),
    ).toThrow("inside");
    expect(identity()).toBe(home);
    expect(() => inNetns(a, async () => {})).toThrow("must be synchronous");
    expect(() => inNetns({ fd: 999_999 }, identity)).toThrow("EBADF");
    expect(identity()).toBe(home);
  });

  it("writes sysctls of the namespace and not of home", () => {
    const read = () => readFileSync(sysctlPath("net.ipv4.ip_forward"), "utf8").trim();
    const home = read();
    for (const value of ["1", "0"]) {
      setSysctls(a, { "net.ipv4.ip_forward": value });
      expect(inNetns(a, read)).toBe(value);
      expect(read()).toBe(home);
    }
    expect(() => setSysctls(a, { "net.ipv4.no_such": "1" })).toThrow("ENOENT");
  });

  it("pins a namespace to a file and finds it again", () => {
    const directory = mkdtempSync(join(tmpdir(), "podwire-pin-"));
    const path = join(directory, "red");
    pinNetns(a, path);
    const again = openNetns(path);
    expect(inNetns(again, identity)).toBe(inNetns(a, identity));
    again.close();
    expect(() => pinNetns(b, path)).toThrow("EEXIST");
    unpinNetns(path);
    unpinNetns(path);
    expect(() => openNetns(path)).toThrow("ENOENT");
    rmSync(directory, { recursive: true });
  });
});

describe("sockets in namespaces", () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  /** A server in `b` that says to whom it talks. */
  async function serve(address: string): Promise<number> {
    const fd = listenTcp(b, address, 0);
    const port = localPort(fd);
    const server = createServer((socket) => socket.end(`hello ${socket.remoteAddress}`));
    servers.push(server);
    server.listen({ fd });
    await once(server, "listening");
    return port;
  }

  it.each(["10.0.0.2", "fd00::2"])("connects from one namespace to %s in another", async (address) => {
    const port = await serve(address);
    const socket = connectTcp(a, address, port);
    socket.end("x");
    expect(await text(socket)).toBe(`hello ${address.replace(/2$/, "1")}`);
  });

  it("tells failures as events, or at once when they are known", async () => {
    const refused = connectTcp(a, "10.0.0.2", 9);
    const [error] = await once(refused, "error");
    expect(isErrno(error, "ECONNREFUSED")).toBe(true);
    expect(() => connectTcp(a, "172.16.0.1", 9)).toThrow("ENETUNREACH");
    const fd = listenTcp(b, "10.0.0.2", 7777);
    expect(() => listenTcp(b, "10.0.0.2", 7777)).toThrow("EADDRINUSE");
    expect(() => listenTcp(a, "10.0.0.2", 7777)).toThrow("EADDRNOTAVAIL");
    const server = createServer().listen({ fd });
    servers.push(server);
    await once(server, "listening");
  });

  it("carries UDP", async () => {
    const fd = udpSocket(b, "10.0.0.2", 0);
    const port = localPort(fd);
    const server = createSocket("udp4");
    server.bind({ fd });
    server.on("message", (message, from) => server.send(`${message} ${from.address}`, from.port, from.address));
    const client = createSocket("udp4");
    client.bind({ fd: udpSocket(a, "10.0.0.1", 0) });
    client.send("hi", port, "10.0.0.2");
    const [answer] = await once(client, "message");
    expect(String(answer)).toBe("hi 10.0.0.1");
    server.close();
    client.close();
  });
});
