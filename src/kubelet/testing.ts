import type { Container, Pod } from "#api/index.ts";

/** A pod for tests: one container unless others are given. */
export function testPod(
  spec: Partial<Pod["spec"]> = {},
  metadata: Partial<Pod["metadata"]> = {},
  status?: Pod["status"],
): Pod {
  const containers: Container[] = [{ name: "web", image: "nginx" }];
  return {
    metadata: { name: "web-1", namespace: "shop", uid: "u-1", ...metadata },
    spec: { nodeName: "node01", containers, ...spec },
    ...(status ? { status } : {}),
  };
}
