import { type Client, type KubeObject, type Resource, resource } from "#api/index.ts";

interface ResourceList {
  readonly groupVersion: string;
  readonly resources?: readonly { name: string; kind: string; namespaced: boolean; verbs: readonly string[] }[];
}
interface GroupList {
  readonly groups?: readonly {
    name: string;
    preferredVersion?: { version: string };
    versions: { version: string }[];
  }[];
}

/** The resources that objects can be listed and deleted of, in each group's preferred version. */
export async function deletableResources(client: Client): Promise<Resource<KubeObject>[]> {
  const groups = await client.read<GroupList>("/apis");
  const paths = (groups.groups ?? []).map(
    ({ name, preferredVersion, versions }) => `/apis/${name}/${preferredVersion?.version ?? versions[0]?.version}`,
  );
  const lists = await Promise.all(["/api/v1", ...paths].map((path) => client.read<ResourceList>(path)));
  return lists.flatMap(({ groupVersion, resources = [] }) => {
    const [version = "", group = ""] = groupVersion.split("/").reverse();
    return resources
      .filter(({ name, verbs }) => !name.includes("/") && verbs.includes("list") && verbs.includes("delete"))
      .map(({ name, kind, namespaced }) => resource<KubeObject>(group, version, name, kind, namespaced));
  });
}
