import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StatusError } from "../errors.ts";
import type { Dict } from "../object.ts";
import { type Field, Schema } from "../schema/schema.ts";
import { decodeProtobuf } from "./decode.ts";

const schema = new Schema();

function varint(value: bigint): Buffer {
  const out: number[] = [];
  for (let rest = BigInt.asUintN(64, value); ; rest >>= 7n) {
    if (rest < 128n) return Buffer.from([...out, Number(rest)]);
    out.push(Number(rest & 127n) | 128);
  }
}

const bytesField = (number: number, value: Buffer | string) => {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([varint(BigInt((number << 3) | 2)), varint(BigInt(bytes.length)), bytes]);
};
const intField = (number: number, value: number | bigint) =>
  Buffer.concat([varint(BigInt(number << 3)), varint(BigInt(value))]);

/** An encoder that follows the same table from the other side: what a Go client would send. */
function encode(type: string, object: Dict): Buffer {
  const parts: Buffer[] = [];
  for (const field of schema.type(type).byNumber.values()) {
    if (field.inline) {
      const inner = encode(field.type, object);
      if (inner.length > 0) parts.push(bytesField(field.number, inner));
      continue;
    }
    const value = object[field.name];
    if (value === undefined) continue;
    if (field.shape === "list") for (const item of value as unknown[]) parts.push(encodeOne(field, item));
    else if (field.shape === "map") {
      for (const [key, item] of Object.entries(value as Dict)) {
        const entry = Buffer.concat([bytesField(1, key), encodeOne({ ...field, number: 2 }, item)]);
        parts.push(bytesField(field.number, entry));
      }
    } else parts.push(encodeOne(field, value));
  }
  return Buffer.concat(parts);
}

function encodeOne(field: Field, value: unknown): Buffer {
  const { number } = field;
  switch (field.kind) {
    case "string":
      return bytesField(number, value as string);
    case "bool":
      return intField(number, value ? 1 : 0);
    case "int32":
    case "int64":
      return intField(number, value as number);
    case "bytes":
      return bytesField(number, Buffer.from(value as string, "base64"));
    case "struct":
      return bytesField(number, encode(field.type, value as Dict));
    case "Quantity":
      return bytesField(number, bytesField(1, value as string));
    case "Time":
      return bytesField(number, intField(1, Date.parse(value as string) / 1000));
    case "IntOrString":
      return bytesField(
        number,
        typeof value === "number"
          ? intField(2, value)
          : Buffer.concat([intField(1, 1), bytesField(3, value as string)]),
      );
    default:
      throw new Error(`no encoder for ${field.kind}`);
  }
}

function envelope(apiVersion: string, kind: string, raw: Buffer): Buffer {
  const typeMeta = Buffer.concat([bytesField(1, apiVersion), bytesField(2, kind)]);
  return Buffer.concat([Buffer.from("k8s\0"), bytesField(1, typeMeta), bytesField(2, raw)]);
}

describe("protobuf request bodies", () => {
  it("become the JSON that a Go client would have sent", () => {
    const deployment = {
      metadata: { name: "web", creationTimestamp: "2026-01-01T00:00:00Z", labels: { app: "web" }, generation: 2 ** 40 },
      spec: {
        replicas: 0,
        strategy: { rollingUpdate: { maxSurge: "25%", maxUnavailable: 1 } },
        template: {
          spec: {
            containers: [
              {
                name: "c",
                resources: { limits: { cpu: "100m" } },
                livenessProbe: { httpGet: { port: 80 }, periodSeconds: 3 },
                securityContext: { runAsUser: -1 },
              },
            ],
            volumes: [{ name: "v", secret: { secretName: "s", defaultMode: 420 } }],
            hostUsers: false,
          },
        },
      },
    };
    const bytes = envelope("apps/v1", "Deployment", encode("apps.v1.Deployment", deployment));
    expect(decodeProtobuf(schema, bytes, "apps.v1.Deployment")).toEqual({
      apiVersion: "apps/v1",
      kind: "Deployment",
      ...deployment,
    });
  });

  it("leave out zeros of fields that are no pointers, as omitempty does", () => {
    const spec = { hostNetwork: false, nodeName: "", terminationGracePeriodSeconds: 0 };
    const bytes = envelope("v1", "Pod", encode("core.v1.Pod", { spec }));
    expect(decodeProtobuf(schema, bytes, "core.v1.Pod").spec).toEqual({ terminationGracePeriodSeconds: 0 });
  });

  it("carry bytes and maps", () => {
    const secret = { data: { a: "AAEC/w==" }, type: "Opaque" };
    const bytes = envelope("v1", "Secret", encode("core.v1.Secret", secret));
    expect(decodeProtobuf(schema, bytes, "core.v1.Secret")).toMatchObject(secret);
  });

  it("that are broken are refused, whatever they are (property)", () => {
    const good = envelope(
      "v1",
      "Pod",
      encode("core.v1.Pod", { metadata: { name: "p", labels: { a: "b" } }, spec: { containers: [{ name: "c" }] } }),
    );
    const broken = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((b) => Buffer.concat([Buffer.from("k8s\0"), b])),
      fc.tuple(fc.nat(good.length - 1), fc.nat(255)).map(([at, byte]) => Buffer.from(good).fill(byte, at, at + 1)),
      fc.nat(good.length).map((length) => good.subarray(0, length)),
    );
    fc.assert(
      fc.property(broken, (bytes) => {
        try {
          decodeProtobuf(schema, bytes, "core.v1.Pod");
        } catch (error) {
          expect(error).toBeInstanceOf(StatusError);
        }
      }),
      { seed: 5, numRuns: 2000 },
    );
  });
});
