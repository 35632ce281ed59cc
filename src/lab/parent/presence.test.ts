import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Client, http2Transport, type Transport } from "#api/index.ts";
import { resolveConfig } from "#lab/config/index.ts";
import type { KnownMachine } from "./engineLink.ts";
import { apiAnswers, withoutApi } from "./presence.ts";

const config = resolveConfig({ nodes: 2 });

describe("K01 a change that needs the API (part: without a control plane)", () => {
  it.each<[KnownMachine["state"]]>([["stopped"], ["paused"]])(
    "is refused while it is %s, with the way out",
    (state) => {
      const machines = new Map<string, KnownMachine>([["controlplane", { state }]]);
      expect(withoutApi(config, machines)).toMatchObject({
        code: "Stopped",
        message: `the control plane is ${state}: podwire node start controlplane`,
      });
    },
  );

  it("is made while it runs, whatever other machines do", () => {
    const machines = new Map<string, KnownMachine>([
      ["controlplane", { state: "running" }],
      ["node01", { state: "stopped" }],
    ]);
    expect(withoutApi(config, machines)).toBeUndefined();
  });
});

describe("an API server that takes connections and says nothing", () => {
  const sockets: Socket[] = [];
  let server: Server;
  let transport: Transport;
  beforeEach(async () => {
    server = createServer((socket) => void sockets.push(socket.on("error", () => undefined)));
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    transport = http2Transport({ server: `https://127.0.0.1:${(server.address() as AddressInfo).port}` });
  });
  afterEach(async () => {
    await transport.close();
    for (const socket of sockets.splice(0)) socket.destroy();
    await new Promise((done) => server.close(done));
  });

  it("is waited for a while, and no longer", async () => {
    await expect(apiAnswers(new Client(transport), { name: "controlplane" }, 100)).rejects.toMatchObject({
      code: "NoAnswer",
      message: "the API server does not answer (0.1 s); podwire status says why",
    });
  });
});
