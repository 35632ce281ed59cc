import { type Binding, type Client, type Pod, resources } from "#api/index.ts";

/** Writes a decision: POST pods/NAME/binding. The uid makes it fail for a namesake that came since. */
export async function bindPod(client: Client, pod: Pod, node: string): Promise<void> {
  const { name, namespace, uid } = pod.metadata;
  const binding: Binding = {
    apiVersion: "v1",
    kind: "Binding",
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), ...(uid === undefined ? {} : { uid }) },
    target: { apiVersion: "v1", kind: "Node", name: node },
  };
  const options = { subresource: "binding", ...(namespace === undefined ? {} : { namespace }) };
  await client.post(resources.pods, name, binding, options);
}
