import type { KubeObject } from "#api/index.ts";

/** A Deployment of echo pods in the namespace default, for measurements (`up --pods N`). */
export function echoPods(count: number): KubeObject[] {
  if (count === 0) return [];
  const labels = { app: "echo" };
  const deployment = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "echo", namespace: "default" },
    spec: {
      replicas: count,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { containers: [{ name: "echo", image: "podwire/echo", ports: [{ containerPort: 8080 }] }] },
      },
    },
  };
  return [deployment];
}
