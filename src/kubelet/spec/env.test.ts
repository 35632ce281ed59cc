import { describe, expect, it } from "vitest";
import type { Service } from "#api/index.ts";
import { testPod } from "../testing.ts";
import { containerEnv, type EnvSources, expand, fieldValue, serviceEnv } from "./env.ts";

function sources(extra: Partial<EnvSources> = {}): EnvSources {
  return {
    pod: testPod({}, { labels: { app: "web", tier: "front" } }),
    podIPs: ["10.244.1.2", "fd00::2"],
    hostIPs: ["192.168.1.11"],
    allocatable: { cpu: "4", memory: "8Gi", "ephemeral-storage": "1Gi" },
    configMap: async (name) =>
      name === "settings" ? { metadata: { name }, data: { color: "blue", size: "9" } } : undefined,
    secret: async (name) => (name === "keys" ? { metadata: { name }, data: { token: btoa("s3cret") } } : undefined),
    services: [],
    ...extra,
  };
}

describe("a container's environment", () => {
  it.each([
    ["$(A)", "1"],
    ["a$(A)b$(B)", "a1b2"],
    ["$$(A)", "$(A)"],
    ["$(MISSING)", "$(MISSING)"],
    ["$A $$", "$A $"],
    ["$(A", "$(A"],
  ])("expands %s", (text, expected) => {
    expect(expand(text, { A: "1", B: "2" })).toBe(expected);
  });

  it("takes values from everywhere, later ones winning", async () => {
    const env = await containerEnv(
      {
        name: "c",
        resources: { limits: { memory: "64Mi", cpu: "250m" } },
        envFrom: [{ configMapRef: { name: "settings" }, prefix: "CFG_" }, { secretRef: { name: "keys" } }],
        env: [
          { name: "COLOR", valueFrom: { configMapKeyRef: { name: "settings", key: "color" } } },
          { name: "TOKEN", valueFrom: { secretKeyRef: { name: "keys", key: "token" } } },
          { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
          { name: "MEM", valueFrom: { resourceFieldRef: { resource: "limits.memory", divisor: "1Mi" } } },
          { name: "ALL", valueFrom: { resourceFieldRef: { resource: "limits.ephemeral-storage" } } },
          { name: "ASKED", valueFrom: { resourceFieldRef: { resource: "requests.memory" } } },
          { name: "CPU", valueFrom: { resourceFieldRef: { resource: "limits.cpu" } } },
          { name: "NONE", valueFrom: { configMapKeyRef: { name: "absent", key: "x", optional: true } } },
          { name: "URL", value: "http://$(IP)/$(CFG_color)" },
        ],
      },
      sources(),
    );
    expect(env).toEqual({
      CFG_color: "blue",
      CFG_size: "9",
      token: "s3cret",
      COLOR: "blue",
      TOKEN: "s3cret",
      IP: "10.244.1.2",
      MEM: "64",
      ALL: "1073741824",
      ASKED: "0",
      CPU: "1",
      URL: "http://10.244.1.2/blue",
    });
  });

  // resource.ExtractContainerResourceValue and findContainerInPod: init containers are found by name too.
  it("takes resources of the container that it names, an init container too", async () => {
    const from = sources();
    const init = { name: "init", resources: { limits: { memory: "32Mi" } } };
    const pod = { ...from.pod, spec: { ...from.pod.spec, initContainers: [init] } };
    const of = (containerName: string) =>
      containerEnv(
        {
          name: "c",
          resources: { limits: { memory: "64Mi" } },
          env: [{ name: "MEM", valueFrom: { resourceFieldRef: { containerName, resource: "limits.memory" } } }],
        },
        { ...from, pod },
      );
    expect((await of("init"))["MEM"]).toBe("33554432");
    expect((await of(""))["MEM"]).toBe("67108864");
    await expect(of("other")).rejects.toThrow("container other not found");
  });

  it("names what is missing", async () => {
    const of = (configMapKeyRef: { name: string; key: string }) =>
      containerEnv({ name: "c", env: [{ name: "A", valueFrom: { configMapKeyRef } }] }, sources());
    await expect(of({ name: "absent", key: "x" })).rejects.toThrow('configmap "absent" not found');
    await expect(of({ name: "settings", key: "x" })).rejects.toThrow("couldn't find key x in ConfigMap shop/settings");
  });

  it("reads downward fields", () => {
    const from = sources();
    expect(fieldValue("metadata.labels['app']", from)).toBe("web");
    expect(fieldValue("metadata.labels", from)).toBe('app="web"\ntier="front"');
    expect(fieldValue("status.podIPs", from)).toBe("10.244.1.2,fd00::2");
    expect(() => fieldValue("spec.nope", from)).toThrow("unsupported fieldPath: spec.nope");
  });
});

describe("V03 Services in the environment (part: environment variables)", () => {
  const service = (name: string, namespace: string, clusterIP: string): Service => ({
    metadata: { name, namespace },
    spec: {
      clusterIP,
      ports: [
        { name: "http", port: 8282 },
        { name: "dns", port: 53, protocol: "UDP" },
      ],
    },
  });
  const all = [
    service("kubernetes", "default", "10.96.0.1"),
    service("wear-service", "shop", "10.96.3.4"),
    service("headless", "shop", "None"),
    service("other", "elsewhere", "10.96.9.9"),
  ];

  it("tells the namespace's and always the API's", () => {
    expect(serviceEnv(all, testPod())).toMatchObject({
      KUBERNETES_SERVICE_HOST: "10.96.0.1",
      WEAR_SERVICE_SERVICE_HOST: "10.96.3.4",
      WEAR_SERVICE_SERVICE_PORT: "8282",
      WEAR_SERVICE_SERVICE_PORT_DNS: "53",
      WEAR_SERVICE_PORT: "tcp://10.96.3.4:8282",
      WEAR_SERVICE_PORT_53_UDP: "udp://10.96.3.4:53",
      WEAR_SERVICE_PORT_8282_TCP_ADDR: "10.96.3.4",
    });
    const names = Object.keys(serviceEnv(all, testPod({ enableServiceLinks: false })));
    expect(names.every((n) => n.startsWith("KUBERNETES_"))).toBe(true);
  });
});
