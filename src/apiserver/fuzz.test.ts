import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Transport } from "#api/index.ts";
import { createLogger } from "#base/log.ts";
import { kinds } from "./kinds/registry.ts";
import { type ApiServer, createApiServer } from "./server.ts";
import { signingKey, TestAuthority } from "./testing/certificates.ts";
import { ask } from "./testing/client.ts";
import { samples } from "./testing/samples/index.ts";

let server: ApiServer;
let api: Transport;
const failures: string[] = [];

beforeAll(async () => {
  server = createApiServer(
    {
      advertiseAddress: "192.168.1.10",
      securePort: 6443,
      tls: await (await TestAuthority.create()).issue("kube-apiserver"),
      serviceAccounts: { issuer: "https://issuer", signingKey: signingKey() },
      services: { cidrs: ["10.96.0.0/12"], nodePorts: [30000, 32767] },
    },
    { log: createLogger("kube-apiserver", { write: (line) => failures.push(line) }) },
  );
  api = server.localTransport({ name: "admin", groups: ["system:masters"] });
  await ask(api, "POST", "/api/v1/namespaces/default/serviceaccounts", { metadata: { name: "default" } });
});
afterAll(() => server.stop());

/** Sends a request; a logged failure or a 5xx with a reason is a bug (upstream gives some mistakes a 500 without). */
async function survives(method: string, path: string, body?: unknown, type = "application/json"): Promise<void> {
  failures.length = 0;
  const signal = AbortSignal.timeout(5000);
  const sent = body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) };
  const response = await api.request({ method, path, headers: { "content-type": type }, signal, ...sent });
  // A watch goes on for ever: its head is all that is looked at.
  let text = "";
  if (!path.includes("watch")) for await (const chunk of response.body) text += Buffer.from(chunk).toString();
  const failed = response.status >= 500 && response.status !== 504 && text.includes('"reason"');
  expect({ path, failures, status: failed }).toEqual({
    path,
    failures: [],
    status: false,
  });
}

const collection = (sample: (typeof samples)[number]) =>
  `${sample.apiVersion.includes("/") ? "/apis" : "/api"}/${sample.apiVersion}${sample.namespaced ? "/namespaces/default" : ""}/${sample.plural}`;

describe("API server: nothing that a client sends makes it fail (property)", { timeout: 60_000 }, () => {
  it("objects with any value at any place of a valid one", async () => {
    const mutate = fc.record({
      sample: fc.constantFrom(...samples),
      seed: fc.nat(),
      value: fc.jsonValue({ maxDepth: 2 }),
    });
    await fc.assert(
      fc.asyncProperty(mutate, async ({ sample, seed, value }) => {
        const object = structuredClone({
          apiVersion: sample.apiVersion,
          kind: sample.kind,
          metadata: { generateName: "f-" },
          ...sample.body,
        });
        replaceAt(object, seed, value);
        await survives("POST", `${collection(sample)}?dryRun=All`, object);
      }),
      { seed: 1, numRuns: 3000 },
    );
  });

  it("patches of every type over every kind", async () => {
    for (const sample of samples) {
      await ask(api, "POST", collection(sample), {
        apiVersion: sample.apiVersion,
        kind: sample.kind,
        ...sample.body,
        metadata: { name: sample.name ?? "fuzzed" },
      });
    }
    const types = ["json-patch+json", "merge-patch+json", "strategic-merge-patch+json", "apply-patch+yaml"] as const;
    const patch = fc.record({
      sample: fc.constantFrom(...samples),
      type: fc.constantFrom(...types),
      seed: fc.nat(),
      value: fc.jsonValue({ maxDepth: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(patch, async ({ sample, type, seed, value }) => {
        const object: Record<string, unknown> = structuredClone({ ...sample.body, metadata: {} });
        replaceAt(object, seed, value);
        const operations = [
          { op: "replace", path: "/spec", value },
          { op: "add", path: "/metadata/labels", value },
        ];
        const body =
          type === "json-patch+json" ? operations : { apiVersion: sample.apiVersion, kind: sample.kind, ...object };
        await survives(
          "PATCH",
          `${collection(sample)}/${sample.name ?? "fuzzed"}?fieldManager=f&force=true&dryRun=All`,
          body,
          `application/${type}`,
        );
      }),
      { seed: 2, numRuns: 3000 },
    );
  });

  it("paths, selectors, continue tokens, options", async () => {
    const word = fc.oneof(
      fc.string({ maxLength: 12 }),
      fc.constantFrom("a", "a=b", "a in (b", "!a", "metadata.name=x", "-1", "0", "true", "All", "99999999999"),
    );
    const names = [
      "labelSelector",
      "fieldSelector",
      "continue",
      "limit",
      "resourceVersion",
      "resourceVersionMatch",
      "timeoutSeconds",
      "watch",
      "sendInitialEvents",
      "fieldValidation",
      "dryRun",
      "includeObject",
    ];
    const query = fc.array(fc.tuple(fc.constantFrom(...names), word), { maxLength: 4 });
    const part = fc.oneof(
      fc.constantFrom(
        "api",
        "apis",
        "v1",
        "apps",
        "namespaces",
        "default",
        "pods",
        "status",
        "scale",
        "deployments",
        "openapi",
        "v3",
      ),
      fc.string({ maxLength: 6 }),
    );
    const path = fc.array(part, { maxLength: 8 }).map((parts) => `/${parts.map(encodeURIComponent).join("/")}`);
    const known = fc.constantFrom(
      ...kinds.map((k) => `${k.group ? `/apis/${k.group}` : "/api"}/${k.version}/${k.plural}`),
    );
    const method = fc.constantFrom("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS");
    await fc.assert(
      fc.asyncProperty(fc.oneof(path, known), query, method, async (where, pairs, verb) => {
        // Deleting whole collections would leave the other runs nothing to look at.
        const how = verb === "DELETE" ? "GET" : verb;
        await survives(
          how,
          `${where}?${new URLSearchParams(pairs)}`,
          how === "GET" || how === "HEAD" ? undefined : "{}",
        );
      }),
      { seed: 3, numRuns: 3000 },
    );
  });
});

/** Replaces one value somewhere inside an object, chosen by a number. */
function replaceAt(object: Record<string, unknown>, seed: number, value: unknown): void {
  const places: [Record<string, unknown>, string][] = [];
  const walk = (at: Record<string, unknown>) => {
    for (const key of Object.keys(at)) {
      places.push([at, key]);
      const child = at[key];
      if (typeof child === "object" && child !== null) walk(child as Record<string, unknown>);
    }
  };
  walk(object);
  const [holder, key] = places[seed % places.length] as [Record<string, unknown>, string];
  holder[key] = value;
}
