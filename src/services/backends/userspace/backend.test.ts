import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, describe, expect, it } from "vitest";
import type { EndpointSlice, Service } from "#api/index.ts";
import { parseIp } from "#base/ip.ts";
import { createLogger } from "#base/log.ts";
import { FakeNftables } from "#kernel/nft/index.ts";
import { type Frontend, serviceFrontends } from "../../model/index.ts";
import { service, slice } from "../../testing/objects.ts";
import type { ServiceBackend } from "../backend.ts";
import { USERSPACE_TABLE, userspaceBackend } from "./index.ts";

const node = { name: "node01", addresses: [parseIp("127.0.0.1")] };
const ended: (() => unknown)[] = [];

function start(nft = new FakeNftables()) {
  const lines: string[] = [];
  const log = createLogger("proxy", { write: (line) => void lines.push(line) });
  const localTraffic = { kind: "none" } as const;
  const backend = userspaceBackend({ nft, nodeName: "node01", localTraffic, dialTimeoutsMs: [10_000], log });
  ended.push(() => backend.close());
  backend.setNode(node);
  return { backend, nft, lines };
}

const frontends = (one: Service, ...slices: EndpointSlice[]): Frontend[] => serviceFrontends(one, slices, node);

/** A Service with an endpoint on loopback, which says its name. */
async function web(name: string): Promise<Frontend[]> {
  const server: Server = createServer((socket) => void socket.end(name));
  ended.push(() => server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return frontends(service("web", { clusterIP: "10.96.0.1" }), slice("web", ["127.0.0.1"], [{ name: "http", port }]));
}

const portOf = (backend: ServiceBackend, [frontend]: readonly Frontend[]): number =>
  backend.flowTargets?.(frontend as Frontend)[0]?.port ?? 0;

async function answer(port: number): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  try {
    return await text(socket);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

afterEach(async () => {
  for (const end of ended.splice(0)) await end();
});

describe("V04 the userspace mode's rules and sockets (part: in which order they come and go)", () => {
  it("the socket listens before the rule is there, and until it is gone", async () => {
    const { backend, nft } = start();
    const one = await web("one");
    await backend.readBack();
    backend.setService("shop/web", one);
    nft.failNext("EBUSY");
    await expect(backend.commit()).rejects.toThrow();
    const port = portOf(backend, one);
    expect(await answer(port)).toBe("one");
    await backend.readBack();
    await backend.commit();
    expect(nft.committed.at(-1)?.toString()).toContain(`127.0.0.1 . ${port}`);

    backend.setService("shop/web", []);
    nft.failNext("EBUSY");
    await expect(backend.commit()).rejects.toThrow();
    expect(await answer(port)).toBe("one");
    await backend.readBack();
    await backend.commit();
    expect(await answer(port)).toBe("ECONNREFUSED");
  });

  it("other endpoints change neither the port nor a rule", async () => {
    const { backend, nft } = start();
    const [one, two] = [await web("one"), await web("two")];
    await backend.readBack();
    backend.setService("shop/web", one);
    await backend.commit();
    const port = portOf(backend, one);
    const before = nft.committed.length;
    backend.setService("shop/web", two);
    await backend.commit();
    expect(portOf(backend, two)).toBe(port);
    expect(await answer(port)).toBe("two");
    expect(nft.committed.slice(before).map(String).join("")).toBe("");
  });

  it("another address of the node: another socket, and the rules lead there", async () => {
    const { backend, nft } = start();
    const one = await web("one");
    await backend.readBack();
    backend.setService("shop/web", one);
    await backend.commit();
    const former = portOf(backend, one);
    backend.setNode({ ...node, addresses: [parseIp("127.0.0.2")] });
    await backend.commit();
    expect(nft.committed.at(-1)?.toString()).toContain(`127.0.0.2 . ${portOf(backend, one)}`);
    expect(await answer(former)).toBe("ECONNREFUSED");
  });

  it("where a socket cannot be had, connections are refused, others work, and the engine hears of it", async () => {
    const { backend, nft } = start();
    backend.setNode({ ...node, addresses: [parseIp("192.0.2.1")] });
    await backend.readBack();
    backend.setService("shop/web", await web("one"));
    await expect(backend.commit()).rejects.toThrow(/^Failed to start proxy for shop\/web:http: bind: EADDRNOTAVAIL/);
    expect(nft.committed.at(-1)?.toString()).toContain("goto refuse");
    backend.setNode(node);
    await backend.commit();
    expect(nft.committed.at(-1)?.toString()).toContain("127.0.0.1 . ");
  });

  it("a family in which the node has no address is refused, with a word in the log", async () => {
    const { backend, nft, lines } = start();
    const six = frontends(service("six", { clusterIP: "fd00:96::1" }), slice("six", ["fd00:244::2"]));
    await backend.readBack();
    backend.setService("shop/six", six);
    await backend.commit();
    expect(nft.committed.at(-1)?.toString()).toContain(`add element ip6 ${USERSPACE_TABLE} services`);
    expect(nft.committed.at(-1)?.toString()).not.toMatch(/add element ip6 \S+ endpoints/);
    expect(lines.join("")).toContain(
      '"Failed to start proxy for service" service="shop/six:http" err="the node has no IPv6 address to listen at"',
    );
  });

  it("close ends sockets and leaves the rules; cleanup removes them", async () => {
    const { backend, nft } = start();
    const one = await web("one");
    await backend.readBack();
    backend.setService("shop/web", one);
    await backend.commit();
    const port = portOf(backend, one);
    await backend.close();
    expect(await answer(port)).toBe("ECONNREFUSED");
    expect((await nft.listTables()).map(({ name }) => name)).toEqual([USERSPACE_TABLE, USERSPACE_TABLE]);
    await backend.cleanup();
    expect(await nft.listTables()).toEqual([]);
  });
});
