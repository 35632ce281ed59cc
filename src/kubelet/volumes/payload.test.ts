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
