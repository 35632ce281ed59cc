import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ask } from "./testing/client.ts";
import { fuzzBytes } from "./testing/fuzz.ts";
import { type LocalServer, startLocalServer } from "./testing/local.ts";

let local: LocalServer;
beforeAll(async () => {
  local = await startLocalServer();
});
afterAll(() => local.server.stop());

describe("API server: bodies with broken bytes never make it fail (property)", { timeout: 900_000 }, () => {
  it.each([31, 32, 33, 34])("JSON, YAML, protobuf and the four patches, seed %i", async (seed) => {
    await fuzzBytes(local.api, local.log, seed, 20_000);
    expect((await ask(local.api, "GET", "/api/v1/namespaces/default")).status).toBe(200);
  });
});
