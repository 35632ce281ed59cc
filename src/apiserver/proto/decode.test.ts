import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StatusError } from "../errors.ts";
import type { Dict } from "../object.ts";
import { Schema } from "../schema/schema.ts";
import { encodeMessage, envelope } from "../testing/protobuf.ts";
import { decodeProtobuf } from "./decode.ts";

const schema = new Schema();

const encode = (type: string, object: Dict) => encodeMessage(schema, type, object);

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
