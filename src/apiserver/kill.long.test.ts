import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KilledServer, killRounds } from "./testing/killed.ts";

let server: KilledServer;
beforeAll(async () => {
  server = await KilledServer.create();
});
afterAll(() => server.remove());

describe("API server killed many times under the load of many writers", () => {
  it("has every acknowledged object, uid and resource version again", { timeout: 600_000 }, async () => {
    expect(await killRounds(server, 25, 40)).toBeGreaterThan(5000);
  });
});
