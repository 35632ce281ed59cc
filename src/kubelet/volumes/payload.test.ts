import { describe, expect, it } from "vitest";
import { testPod } from "../testing.ts";
import { type VolumeSources, volumePayload } from "./payload.ts";

describe("a volume of the downward API", () => {
  const initContainers = [{ name: "init", resources: { limits: { memory: "32Mi" } } }];
  const nothing = () => Promise.reject(new Error("not asked for"));
  const sources: VolumeSources = {
    pod: testPod({ initContainers }),
    podIPs: [],
    hostIPs: [],
    allocatable: {},
    configMap: nothing,
    secret: nothing,
    token: nothing,
  };
  const of = async (containerName: string) => {
    const items = [{ path: "memory", resourceFieldRef: { containerName, resource: "limits.memory" } }];
    const payload = await volumePayload({ name: "v", downwardAPI: { items } }, sources);
    return Buffer.from(payload?.files.get("memory")?.data ?? []).toString();
  };

  // findContainerInPod of upstream's resource helpers.
  it("tells of init containers, and refuses those that there are not", async () => {
    expect(await of("init")).toBe("33554432");
    await expect(of("other")).rejects.toThrow("container other not found");
  });
});

describe("a key that an object does not have", () => {
  const nothing = () => Promise.reject(new Error("not asked for"));
  const sources: VolumeSources = {
    pod: testPod(),
    podIPs: [],
    hostIPs: [],
    allocatable: {},
    configMap: async (name) => ({ metadata: { name }, data: { there: "x" } }),
    secret: async (name) => ({ metadata: { name }, data: { there: "eA==" } }),
    token: nothing,
  };
  const items = [{ key: "nokey", path: "x" }];

  // MakePayload of upstream's volume plugins configmap and secret.
  it("is named as upstream does", async () => {
    await expect(volumePayload({ name: "v", configMap: { name: "c", items } }, sources)).rejects.toThrow(
      "references non-existent config key: nokey",
    );
    await expect(volumePayload({ name: "v", secret: { secretName: "s", items } }, sources)).rejects.toThrow(
      "references non-existent secret key: nokey",
    );
  });
});
