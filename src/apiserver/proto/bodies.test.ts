import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Transport } from "#api/index.ts";
import { kinds } from "../kinds/registry.ts";
import type { Dict } from "../object.ts";
import { Schema } from "../schema/schema.ts";
import { ask } from "../testing/client.ts";
import { type KubectlRun, kubectlFor } from "../testing/kubectl.ts";
import { bytesField, encodeMessage, envelope, intField } from "../testing/protobuf.ts";
import { samples as all, type Sample } from "../testing/samples/index.ts";
import { startTestServer, type TestServer } from "../testing/server.ts";

/** CustomResourceDefinitions are taken as JSON and YAML only: 415 says so. */
const samples = all.filter((s) => s.kind !== "CustomResourceDefinition");

const schema = new Schema();
const protobuf = { "content-type": "application/vnd.kubernetes.protobuf" };
let test: TestServer;
let api: Transport;
let k: KubectlRun;

beforeAll(async () => {
  test = await startTestServer();
  api = test.server.localTransport({ name: "admin", groups: ["system:masters"] });
  k = kubectlFor(test);
  await ask(api, "POST", "/api/v1/namespaces/default/serviceaccounts", { metadata: { name: "default" } });
  await ask(api, "POST", "/api/v1/namespaces", { metadata: { name: "test" } });
  await ask(api, "POST", "/api/v1/namespaces/test/serviceaccounts", { metadata: { name: "default" } });
});
afterAll(() => test.stop());

/** What is left of an object when what each server call draws for itself is gone. */
function comparable(object: Dict): Dict {
  const {
    managedFields: _m,
    uid: _u,
    creationTimestamp: _c,
    resourceVersion: _r,
    name: _n,
    ...metadata
  } = object.metadata as Dict;
  const text = JSON.stringify({ ...object, metadata })
    .replace(/kube-api-access-\w+/g, "kube-api-access")
    .replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "uid")
    .replace(/"lastTransitionTime":"[^"]*"/g, '"lastTransitionTime":""')
    .replace(/"(nodePort|healthCheckNodePort)":\d+/g, '"$1":0')
    .replace(/"(batch\.kubernetes\.io\/)?job-name":"[^"]*"/g, '"$1job-name":""')
    .replace(/"kubernetes\.io\/metadata\.name":"[^"]*"/g, "");
  return sorted(JSON.parse(text.replace(/,(?=[,}])|(?<=\{),/g, "")));
}

/** Keys in order: the order on the wire is that of the numbers. */
function sorted<T>(value: T): T {
  if (Array.isArray(value)) return value.map(sorted) as T;
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, item]) => [key, sorted(item)])) as T;
}

const kindOf = (sample: Sample) =>
  kinds.find((d) => d.kind === sample.kind && (d.group ? `${d.group}/${d.version}` : d.version) === sample.apiVersion);
const pathOf = (sample: Sample) =>
  `${sample.apiVersion.includes("/") ? "/apis" : "/api"}/${sample.apiVersion}${sample.namespaced ? "/namespaces/test" : ""}/${sample.plural}`;

function bodyOf(sample: Sample, name: string): Buffer {
  const type = kindOf(sample)?.type as string;
  const message = encodeMessage(schema, type, { ...sample.body, metadata: { name } });
  return envelope(sample.apiVersion, sample.kind, message);
}

describe("U01 protobuf bodies of every kind (part: the decoder against JSON; the numbers are kubectl's below)", () => {
  it.each(samples)("$apiVersion $kind is stored as its JSON is", async (sample) => {
    // Names that say what an object is are given up between the two writes.
    const name = sample.name ?? `proto-${sample.kind.toLowerCase()}`;
    const path = pathOf(sample);
    const json = await ask(api, "POST", path, {
      apiVersion: sample.apiVersion,
      kind: sample.kind,
      ...sample.body,
      metadata: { name },
    });
    expect([json.status, json.status === 201 ? "" : json.body.message]).toEqual([201, ""]);
    await ask(api, "DELETE", `${path}/${name}?gracePeriodSeconds=0`);
    if (sample.kind === "Namespace")
      await ask(api, "PUT", `${path}/${name}/finalize`, { metadata: { name }, spec: {} });
    if (json.body.metadata.finalizers) {
      const merged = { "content-type": "application/merge-patch+json" };
      await ask(api, "PATCH", `${path}/${name}`, { metadata: { finalizers: null } }, merged);
    }
    const sent = await ask(api, "POST", path, bodyOf(sample, name), protobuf);
    expect([sent.status, sent.status === 201 ? "" : sent.body.message]).toEqual([201, ""]);
    expect(comparable(sent.body)).toEqual(comparable(json.body));
    await ask(api, "DELETE", `${path}/${name}?gracePeriodSeconds=0`);
  });

  it("unknown fields are passed over, wherever they are", async () => {
    const sample = samples.find((s) => s.kind === "ConfigMap") as Sample;
    const message = encodeMessage(schema, "core.v1.ConfigMap", { ...sample.body, metadata: { name: "unknown" } });
    const extra = Buffer.concat([message, bytesField(99, "x"), intField(98, 7)]);
    const made = await ask(api, "POST", pathOf(sample), envelope("v1", "ConfigMap", extra), protobuf);
    expect([made.status, made.body.data]).toEqual([201, { a: "b" }]);
  });

  it("cut short or with other wire types they get an answer, never a failure (property)", {
    timeout: 60_000,
  }, async () => {
    const body = fc
      .tuple(fc.constantFrom(...samples), fc.nat(1_000_000), fc.nat(255), fc.boolean())
      .map(([sample, at, byte, cut]) => {
        const good = bodyOf(sample, "broken");
        const place = 4 + (at % (good.length - 4));
        return { sample, bytes: cut ? good.subarray(0, place) : Buffer.from(good).fill(byte, place, place + 1) };
      });
    await fc.assert(
      fc.asyncProperty(body, async ({ sample, bytes }) => {
        const answer = await ask(api, "POST", `${pathOf(sample)}?dryRun=All`, bytes, protobuf);
        expect(answer.status).toBeLessThan(500);
        expect([201, 400, 403, 404, 409, 413, 422]).toContain(answer.status);
      }),
      { seed: 11, numRuns: 1500 },
    );
  });

  it("a message cut inside a field answers 400", async () => {
    for (const sample of samples) {
      const good = bodyOf(sample, "cut");
      const answer = await ask(api, "POST", pathOf(sample), good.subarray(0, good.length - 1), protobuf);
      expect([sample.kind, answer.status, answer.body.reason]).toEqual([sample.kind, 400, "BadRequest"]);
    }
  });
});

/** Commands that send protobuf, and where their object is. Their JSON is what `--dry-run=client` prints. */
const commands: readonly (readonly [command: string, get: string])[] = [
  ["create configmap NAME --from-literal=a=b --from-literal=c=d", "configmap/NAME"],
  ["create secret generic NAME --from-literal=a=b --type=example.com/x", "secret/NAME"],
  ["create deployment NAME --image=podwire/echo:1 --replicas=3 --port=80 -- sh -c sleep", "deployment/NAME"],
  ["create job NAME --image=podwire/echo:1 -- date", "job/NAME"],
  ["create cronjob NAME --image=podwire/echo:1 --schedule=@daily --restart=Never -- date", "cronjob/NAME"],
  ["create ingress NAME --class=nginx --rule=a.b/x*=svc:80,tls=t --default-backend=d:http", "ingress/NAME"],
  ["create role NAME --verb=get,list --resource=pods,deployments.apps/scale --resource-name=n", "role/NAME"],
  ["create clusterrole NAME --verb=get --non-resource-url=/metrics", "clusterrole/NAME"],
  ["create rolebinding NAME --role=r --user=u --serviceaccount=default:s --group=g", "rolebinding/NAME"],
  ["create clusterrolebinding NAME --clusterrole=r --group=g", "clusterrolebinding/NAME"],
  ["create poddisruptionbudget NAME --selector=a=b --min-available=50%", "pdb/NAME"],
  ["create quota NAME --hard=cpu=1500m,pods=3 --scopes=NotTerminating", "quota/NAME"],
  ["create priorityclass NAME --value=-7 --preemption-policy=Never --description=d", "priorityclass/NAME"],
  ["create serviceaccount NAME", "serviceaccount/NAME"],
  ["create service nodeport NAME --tcp=80:8080", "service/NAME"],
  ["create service externalname NAME --external-name=a.b.c", "service/NAME"],
  ["create namespace NAME", "namespace/NAME"],
  ["autoscale deployment one --name=NAME --min=2 --max=5 --cpu-percent=70", "hpa/NAME"],
];

describe("U01 protobuf as a real kubectl writes it (part: the kinds that it sends so)", { timeout: 120_000 }, () => {
  it.each(commands)("%s", async (command, get) => {
    if (command.startsWith("autoscale")) await k("create deployment one --image=podwire/echo:1");
    const name = (text: string) => command.replace("NAME", text).replace(/ -- /, " OPTIONS -- ");
    const withOptions = (text: string, options: string) =>
      name(text).includes("OPTIONS") ? name(text).replace("OPTIONS", options) : `${name(text)} ${options}`;
    await k(withOptions("one", "--field-manager=t"));
    const printed = await k(withOptions("two", "--dry-run=client -o json"));
    await k("create -f FILE", printed.slice(printed.indexOf("{")));
    const read = async (text: string) => JSON.parse(await k(`get ${get.replace("NAME", text)} -o json`)) as Dict;
    const plain = (object: Dict) =>
      JSON.parse(
        JSON.stringify(comparable(object))
          .replace(/"(one|two)"/g, '"NAME"')
          .replace(/10\.\d+\.\d+\.\d+/g, "IP"),
      );
    expect(plain(await read("one"))).toEqual(plain(await read("two")));
  });
});
