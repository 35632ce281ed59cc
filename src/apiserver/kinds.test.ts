import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Transport } from "#api/index.ts";
import { createLogger } from "#base/log.ts";
import { kinds } from "./kinds/registry.ts";
import type { Dict } from "./object.ts";
import { type ApiServer, createApiServer } from "./server.ts";
import { signingKey, TestAuthority } from "./testing/certificates.ts";
import { ask, watch } from "./testing/client.ts";
import { type Sample, samples } from "./testing/samples/index.ts";

let server: ApiServer;
let api: Transport;

beforeAll(async () => {
  const authority = await TestAuthority.create();
  server = createApiServer(
    {
      advertiseAddress: "192.168.1.10",
      securePort: 6443,
      tls: await authority.issue("kube-apiserver"),
      serviceAccounts: { issuer: "https://issuer", signingKey: signingKey() },
      services: { cidrs: ["10.96.0.0/12"], nodePorts: [30000, 32767] },
    },
    { log: createLogger("kube-apiserver") },
  );
  api = server.localTransport({ name: "admin", groups: ["system:masters"] });
  await ask(api, "POST", "/api/v1/namespaces", { metadata: { name: "test" } });
  await ask(api, "POST", "/api/v1/namespaces/test/serviceaccounts", { metadata: { name: "default" } });
});
afterAll(() => server.stop());

function collection(sample: Sample): string {
  const root = sample.apiVersion.includes("/") ? `/apis/${sample.apiVersion}` : `/api/${sample.apiVersion}`;
  return `${root}${sample.namespaced ? "/namespaces/test" : ""}/${sample.plural}`;
}

const nameOf = (sample: Sample) => sample.name ?? `sample-${sample.kind.toLowerCase()}`;
const whole = (sample: Sample, body: Dict = sample.body, metadata: Dict = {}) => ({
  apiVersion: sample.apiVersion,
  kind: sample.kind,
  ...body,
  metadata: { name: nameOf(sample), ...metadata },
});
const json = (type: string) => ({ "content-type": `application/${type}` });

describe("U01 every kind: one table of create, invalid, immutable, patches, watch, Table (part: without kubectl)", () => {
  it("has a row for every kind that is served", () => {
    // What is looked up and never stored cannot be created.
    const served = kinds
      .filter((k) => k.verbs.includes("create"))
      .map((k) => `${k.group ? `${k.group}/` : ""}${k.version} ${k.kind}`);
    expect(samples.map((s) => `${s.apiVersion} ${s.kind}`).sort()).toEqual(served.sort());
  });

  describe.each(samples)("$apiVersion $kind", (sample) => {
    const path = collection(sample);
    const one = `${path}/${nameOf(sample)}`;

    it("is created with its defaults and cannot be created twice", async () => {
      const made = await ask(api, "POST", path, whole(sample));
      expect([made.status, made.body.reason === "Invalid" ? made.body.message : ""]).toEqual([201, ""]);
      expect(made.body).toMatchObject({
        apiVersion: sample.apiVersion,
        kind: sample.kind,
        ...(sample.defaulted ?? {}),
      });
      const { uid, resourceVersion, creationTimestamp } = made.body.metadata;
      expect([uid, resourceVersion, creationTimestamp].every(Boolean)).toBe(true);
      const again = await ask(api, "POST", path, whole(sample));
      expect(again.status).toBe(409);
      expect(again.body.message).toMatch(/"[^"]+" already exists$/);
      const read = await ask(api, "GET", one);
      // A definition's names have been accepted in the meantime.
      const definition = sample.kind === "CustomResourceDefinition";
      expect(definition ? read.body.spec : read.body).toEqual(definition ? made.body.spec : made.body);
    });

    it("says what is invalid", async () => {
      for (const [body, text] of sample.invalid ?? []) {
        const refused = await ask(api, "POST", path, whole(sample, body, { name: "other-name" }));
        expect(refused.body.message).toContain(text);
        expect(refused.status).toBe(422);
      }
      const unnamed = await ask(api, "POST", path, whole(sample, sample.body, { name: "" }));
      expect(unnamed.body.message).toContain("name or generateName is required");
    });

    it("refuses what cannot change", async () => {
      if (!sample.immutable) return;
      const [change, text] = sample.immutable;
      const refused = await ask(api, "PATCH", one, change, json("merge-patch+json"));
      expect(refused.body.message).toContain(text);
      expect(refused.status).toBe(422);
    });

    it("takes the four patches, and apply twice changes nothing", async () => {
      const merge = await ask(api, "PATCH", one, { metadata: { labels: { merge: "1" } } }, json("merge-patch+json"));
      expect([merge.status, merge.body.metadata.labels?.merge]).toEqual([200, "1"]);
      const strategic = await ask(
        api,
        "PATCH",
        one,
        { metadata: { labels: { strategic: "1" } } },
        json("strategic-merge-patch+json"),
      );
      expect([strategic.status, strategic.body.metadata.labels]).toMatchObject([200, { merge: "1", strategic: "1" }]);
      const operations = [
        { op: "remove", path: "/metadata/labels/merge" },
        { op: "add", path: "/metadata/labels/patched", value: "1" },
      ];
      const patched = await ask(api, "PATCH", one, operations, json("json-patch+json"));
      expect(patched.body.metadata.labels).toMatchObject({ strategic: "1", patched: "1" });
      const applied = {
        apiVersion: sample.apiVersion,
        kind: sample.kind,
        metadata: { name: nameOf(sample), labels: { applied: "1" } },
      };
      const apply = await ask(api, "PATCH", `${one}?fieldManager=test`, applied, json("apply-patch+yaml"));
      expect([apply.status, apply.body.kind === "Status" ? apply.body.message : ""]).toEqual([200, ""]);
      expect(apply.body.metadata.labels).toMatchObject({ strategic: "1", applied: "1" });
      const again = await ask(api, "PATCH", `${one}?fieldManager=test`, applied, json("apply-patch+yaml"));
      expect(again.body.metadata.resourceVersion).toBe(apply.body.metadata.resourceVersion);
      const put = await ask(api, "PUT", one, again.body);
      expect(put.body.metadata.resourceVersion).toBe(apply.body.metadata.resourceVersion);
    });

    it("refuses an outdated update, and dry runs leave nothing", async () => {
      const { body } = await ask(api, "GET", one);
      const stale = await ask(api, "PUT", one, {
        ...body,
        metadata: { ...body.metadata, resourceVersion: "1", labels: { a: "b" } },
      });
      expect([stale.status, stale.body.reason]).toEqual([409, "Conflict"]);
      const dry = await ask(
        api,
        "PATCH",
        `${one}?dryRun=All`,
        { metadata: { labels: { dry: "1" } } },
        json("merge-patch+json"),
      );
      expect(dry.body.metadata.labels?.dry).toBe("1");
      expect((await ask(api, "GET", one)).body).toEqual(body);
    });

    it("prints a Table with upstream's columns", async () => {
      const table = await ask(api, "GET", one, undefined, {
        accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
      });
      const { columnDefinitions, rows } = table.body as unknown as {
        columnDefinitions: { name: string }[];
        rows: { cells: unknown[]; object: { kind: string } }[];
      };
      const names = columnDefinitions.map((c) => c.name);
      expect(names).toEqual(sample.columns.split(sample.columns.includes("|") ? "|" : " "));
      expect(rows[0]?.cells.length).toBe(names.length);
      expect(rows[0]?.object.kind).toBe("PartialObjectMetadata");
      // Ages are of this moment: a second may have passed.
      const plain = rows[0]?.cells.map((c) => (c === "1s" || c === "2s" ? "0s" : c));
      if (sample.cells) expect(plain).toEqual([nameOf(sample), ...sample.cells]);
    });

    it("is watched and deleted", async () => {
      const watcher = await watch(api, `${path}?watch=true&fieldSelector=metadata.name=${nameOf(sample)}`);
      expect((await watcher.next()).type).toBe("ADDED");
      await ask(api, "PATCH", one, { metadata: { annotations: { a: "b" } } }, json("merge-patch+json"));
      expect(await watcher.next()).toMatchObject({
        type: "MODIFIED",
        object: { metadata: { annotations: { a: "b" } } },
      });
      const deleted = await ask(api, "DELETE", one);
      expect(deleted.status).toBe(200);
      if (sample.kind === "Namespace") {
        expect((await watcher.next()).object).toMatchObject({ status: { phase: "Terminating" } });
        const { body } = await ask(api, "GET", one);
        await ask(api, "PUT", `${one}/finalize`, { ...body, spec: { finalizers: [] } });
      }
      if (["PersistentVolume", "PersistentVolumeClaim", "VolumeAttributesClass"].includes(sample.kind)) {
        // The finalizer of StorageObjectInUseProtection, which a controller would take away.
        expect((await watcher.next()).object.metadata.finalizers).toEqual([
          expect.stringMatching(/^kubernetes\.io\/p?v(c|ac)?-protection$/),
        ]);
        await ask(api, "PATCH", one, { metadata: { finalizers: null } }, json("merge-patch+json"));
      }
      // A definition is changed while its objects are removed.
      let last = await watcher.next();
      while (sample.kind === "CustomResourceDefinition" && last.type === "MODIFIED") last = await watcher.next();
      expect(last.type).toBe("DELETED");
      await watcher.stop();
      const gone = await ask(api, "GET", one);
      expect(gone.status).toBe(404);
      expect(gone.body.message).toMatch(/ "[^"]+" not found$/);
    });
  });
});
