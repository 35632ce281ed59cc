import fc from "fast-check";
import type { Transport } from "#api/index.ts";
import { type Sample, samples } from "./samples/index.ts";

/** A request that is likely to be broken. */
interface BrokenRequest {
  readonly method: string;
  readonly path: string;
  readonly type: string;
  readonly body: Uint8Array;
}

const writeTypes = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
const patchTypes = ["json-patch+json", "merge-patch+json", "strategic-merge-patch+json", "apply-patch+yaml"];

function collectionOf(sample: Sample): string {
  const root = sample.apiVersion.includes("/") ? "/apis" : "/api";
  return `${root}/${sample.apiVersion}${sample.namespaced ? "/namespaces/default" : ""}/${sample.plural}`;
}

/** Changes of bytes: where, how many go, and what comes instead. */
const edits = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 4 }), fc.uint8Array({ maxLength: 4 })), { maxLength: 4 });

function edited(bytes: Uint8Array, changes: readonly (readonly [number, number, Uint8Array])[]): Uint8Array {
  let out = Buffer.from(bytes);
  for (const [where, gone, come] of changes) {
    const at = where % (out.length + 1);
    out = Buffer.concat([out.subarray(0, at), come, out.subarray(at + gone)]);
  }
  return out;
}

/** The envelope of protobuf bodies around any bytes. */
function enveloped(apiVersion: string, kind: string, raw: Uint8Array): Uint8Array {
  const field = (number: number, bytes: Uint8Array) => {
    const length = [bytes.length & 0x7f, bytes.length >> 7];
    const head = bytes.length < 128 ? length.slice(0, 1) : [(length[0] as number) | 0x80, length[1] as number];
    return Buffer.concat([Buffer.from([(number << 3) | 2, ...head]), bytes]);
  };
  const meta = Buffer.concat([field(1, Buffer.from(apiVersion)), field(2, Buffer.from(kind))]);
  return Buffer.concat([Buffer.from("k8s\0"), field(1, meta), field(2, raw)]);
}

const requests: fc.Arbitrary<BrokenRequest> = fc
  .record({
    sample: fc.constantFrom(...samples),
    patch: fc.boolean(),
    type: fc.nat(),
    changes: edits,
    raw: fc.uint8Array({ maxLength: 60 }),
  })
  .map(({ sample, patch, type, changes, raw }) => {
    const { apiVersion, kind } = sample;
    const object = JSON.stringify({ apiVersion, kind, metadata: { name: "fuzz" }, ...sample.body });
    const text = Buffer.from(object);
    if (patch) {
      const name = patchTypes[type % patchTypes.length] as string;
      const body = name.startsWith("json-") ? Buffer.from(`[{"op":"add","path":"/spec","value":${object}}]`) : text;
      const path = `${collectionOf(sample)}/fuzz?fieldManager=f&dryRun=All`;
      return { method: "PATCH", path, type: `application/${name}`, body: edited(body, changes) };
    }
    const media = writeTypes[type % writeTypes.length] as string;
    const body = media.endsWith("protobuf") ? enveloped(apiVersion, kind, raw) : text;
    const path = `${collectionOf(sample)}?dryRun=All`;
    return { method: "POST", path, type: media, body: edited(body, changes) };
  });

/**
 * Sends bodies with broken bytes: JSON, YAML, protobuf and the four patches. Throws where the server fails: a line in
 * its log, or an answer of 500 and above that has a reason (upstream gives some mistakes of clients a 500 without).
 */
export async function fuzzBytes(api: Transport, log: string[], seed: number, numRuns: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(requests, async ({ method, path, type, body }) => {
      log.length = 0;
      const response = await api.request({ method, path, headers: { "content-type": type }, body });
      let text = "";
      for await (const chunk of response.body) text += Buffer.from(chunk).toString();
      if (log.length > 0) throw new Error(log.join("\n"));
      if (response.status >= 500 && text.includes('"reason"')) throw new Error(text);
    }),
    { seed, numRuns },
  );
}
