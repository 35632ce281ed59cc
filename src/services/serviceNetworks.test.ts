import { describe, expect, it } from "vitest";
import { ApiError, type ApiRequest, Client } from "#api/index.ts";
import { FakeApi } from "#api/testing/index.ts";
import { formatCidr } from "#base/ip.ts";
import { createLogger } from "#base/log.ts";
import { serviceNetworks } from "./serviceNetworks.ts";

/** An API with one ServiceCIDR, of which `fail` says how an attempt fails; undefined: it is answered. */
function asked(fail: (attempt: number, request: ApiRequest) => Promise<void> | undefined) {
  const api = new FakeApi();
  api.put("/apis/networking.k8s.io/v1/servicecidrs", {
    metadata: { name: "kubernetes" },
    spec: { cidrs: ["10.96.0.0/12", "fd00:96::/108"] },
  } as never);
  api.onRequest = (request) => fail(api.requests.length, request);
  const lines: string[] = [];
  const log = createLogger("proxy", { write: (line) => void lines.push(line) });
  const options = { log, signal: new AbortController().signal, retryMs: 1 };
  const ask = async (more: { deadlineMs?: number; signal?: AbortSignal } = {}) =>
    (await serviceNetworks(new Client(api), { ...options, ...more })).map(formatCidr);
  return { api, lines, ask };
}

const hang = ({ signal }: ApiRequest) =>
  new Promise<void>((_, fail) => {
    signal?.addEventListener("abort", () => fail(signal.reason), { once: true });
  });
const both = ["10.96.0.0/12", "fd00:96::/108"];

describe("V04 stale UDP connections (part: networks of Services)", () => {
  it("an attempt that fails is followed by another", async () => {
    const { ask, lines } = asked((attempt) => (attempt === 1 ? Promise.reject(new Error("reset")) : undefined));
    expect(await ask()).toEqual(both);
    expect(lines).toEqual([]);
  });

  it("an attempt that is not answered is given up, and followed by another", async () => {
    const { ask } = asked((attempt, request) => (attempt === 1 ? hang(request) : undefined));
    // Only the hanging attempt needs it to end; the other one is answered from memory.
    expect(await ask({ deadlineMs: 200 })).toEqual(both);
  });

  it.each([403, 404])("HTTP %i is an answer: there are none", async (code) => {
    const { ask, api, lines } = asked(() => Promise.reject(new ApiError({ code } as never)));
    expect(await ask()).toEqual([]);
    expect(api.requests).toHaveLength(1);
    expect(lines).toEqual([]);
  });

  it("an API that fails again and again is left alone, which is said", async () => {
    const { ask, api, lines } = asked(() => Promise.reject(new ApiError({ code: 500, message: "etcd" } as never)));
    expect(await ask()).toEqual([]);
    expect(api.requests).toHaveLength(5);
    expect(lines.join("")).toContain('"ServiceCIDRs are not known: UDP connections to Services that went before stay"');
    expect(lines.join("")).toContain("etcd");
  });

  it("ends when it is stopped", async () => {
    const stop = new AbortController();
    const { ask, lines } = asked((_, request) => {
      queueMicrotask(() => stop.abort());
      return hang(request);
    });
    expect(await ask({ signal: stop.signal })).toEqual([]);
    expect(lines).toEqual([]);
  });
});
