import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ask } from "./testing/client.ts";
import { fuzzBytes } from "./testing/fuzz.ts";
import { type LocalServer, startLocalServer } from "./testing/local.ts";

let local: LocalServer;
beforeAll(async () => {
  local = await startLocalServer();
});
afterAll(() => local.server.stop());

describe("API server: bodies with broken bytes never make it fail (property)", { timeout: 60_000 }, () => {
  it("JSON, YAML, protobuf and the four patches", async () => {
    await fuzzBytes(local.api, local.log, 21, 1500);
    expect((await ask(local.api, "GET", "/api/v1/namespaces/default")).status).toBe(200);
  });
});
