import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KilledServer, killRounds } from "./testing/killed.ts";

let server: KilledServer;
beforeAll(async () => {
  server = await KilledServer.create();
});
afterAll(() => server.remove());

describe("API server killed under load (part of: a killed control plane returns with its objects)", () => {
  it("has every acknowledged object, uid and resource version again", { timeout: 120_000 }, async () => {
    expect(await killRounds(server, 3, 8)).toBeGreaterThan(150);
  });
});
