import { describe, expect, it } from "vitest";
import type { ConfigMap, Pod } from "#api/index.ts";
import { surroundingsOf } from "./podFiles.ts";

const map = (name: string, data: Record<string, string>) => ({ metadata: { name }, data }) as unknown as ConfigMap;

function around(container: object, volumes: readonly object[], maps: readonly ConfigMap[] = []) {
  const pod = {
    metadata: { name: "coredns-1", namespace: "kube-system" },
    spec: { containers: [{ name: "coredns", image: "coredns", ...container }], volumes },
    status: { podIP: "10.244.0.9", podIPs: [{ ip: "10.244.0.9" }] },
  } as unknown as Pod;
  return surroundingsOf(pod, maps);
}

describe("D02 what a DNS server's pod gives its Corefile (part: dns explain)", () => {
  it("a subPath shows one file, or one directory, of a volume", () => {
    const { directory, readText, readImport } = around(
      {
        volumeMounts: [
          { name: "config", mountPath: "/etc/coredns/Corefile", subPath: "Corefile" },
          { name: "own", mountPath: "/etc/coredns/custom", subPath: "parts" },
        ],
      },
      [
        { name: "config", configMap: { name: "coredns" } },
        {
          name: "own",
          configMap: {
            name: "own",
            items: [
              { key: "a", path: "parts/a.override" },
              { key: "b", path: "b.override" },
            ],
          },
        },
      ],
      [map("coredns", { Corefile: "text", other: "x" }), map("own", { a: "log", b: "debug" })],
    );
    expect(directory).toBe("/etc/coredns");
    expect(readText("/etc/coredns/Corefile")).toBe("text");
    expect(readImport("custom/*.override")).toEqual([{ file: "custom/a.override", text: "log" }]);
    expect(() => readText("/etc/coredns/custom/b.override")).toThrow("ENOENT");
    // Beside a file that is mounted alone lies what the image has.
    expect(readText("/etc/coredns/other")).toBeUndefined();
  });

  it("projected volumes are not known; optional ones without their ConfigMap are empty", () => {
    const { readText, readImport } = around(
      {
        volumeMounts: [
          { name: "all", mountPath: "/etc/coredns/all" },
          { name: "custom", mountPath: "/etc/coredns/custom" },
        ],
      },
      [
        { name: "all", projected: { sources: [{ configMap: { name: "x" } }] } },
        { name: "custom", configMap: { name: "coredns-custom", optional: true } },
      ],
    );
    expect(readText("/etc/coredns/all/x")).toBeUndefined();
    expect(() => readImport("/etc/coredns/all/*.override")).toThrow("/etc/coredns/all/*.override");
    expect(readImport("/etc/coredns/custom/*.override")).toEqual([]);
  });

  it("variables of the pod's own fields have their value; reading others throws", () => {
    const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
    const { environment } = around(
      {
        env: [
          { name: "DOMAIN", value: "cluster.local" },
          field("NAMESPACE", "metadata.namespace"),
          field("NAME", "metadata.name"),
          field("IP", "status.podIP"),
          field("NODE", "spec.nodeName"),
          { name: "SECRET", valueFrom: { secretKeyRef: { name: "s", key: "k" } } },
        ],
      },
      [],
    );
    expect(["DOMAIN", "NAMESPACE", "NAME", "IP", "NONE"].map((name) => environment[name])).toEqual([
      "cluster.local",
      "kube-system",
      "coredns-1",
      "10.244.0.9",
      undefined,
    ]);
    expect(() => environment.NODE).toThrow("{$NODE}");
    expect(() => environment.SECRET).toThrow("{$SECRET}");
  });
});
