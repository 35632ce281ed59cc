import { type Client, type KubeObject, type Resource, resource } from "#api/index.ts";
import { errorMessage, PodwireError } from "#base/errors.ts";

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

/** The resources of the groups that answer, and what went wrong with the others. */
export interface Discovered {
  readonly resources: readonly Resource<KubeObject>[];
  /** `GROUP/VERSION: error`. */
  readonly failures: readonly string[];
}

/** The resources that objects can be listed and deleted of, in each group's preferred version. */
export async function discover(client: Client): Promise<Discovered> {
  const groups = await client.read<GroupList>("/apis");
  const paths = (groups.groups ?? []).map(
    ({ name, preferredVersion, versions }) => `/apis/${name}/${preferredVersion?.version ?? versions[0]?.version}`,
  );
  const all = ["/api/v1", ...paths];
  const lists = await Promise.allSettled(all.map((path) => client.read<ResourceList>(path)));
  const failures = lists.flatMap((list, i) =>
    list.status === "rejected" ? [`${all[i]?.replace(/^\/apis?\//, "")}: ${errorMessage(list.reason)}`] : [],
  );
  const resources = lists.flatMap((list) => (list.status === "fulfilled" ? deletable(list.value) : []));
  return { resources, failures };
}

/** The same, of a server all of whose groups answer. Throws when one does not. */
export async function deletableResources(client: Client): Promise<readonly Resource<KubeObject>[]> {
  const { resources, failures } = await discover(client);
  if (failures.length > 0) throw new PodwireError("DiscoveryFailed", failures.join(", "));
  return resources;
}

function deletable({ groupVersion, resources = [] }: ResourceList): Resource<KubeObject>[] {
  const [version = "", group = ""] = groupVersion.split("/").reverse();
  return resources
    .filter(({ name, verbs }) => !name.includes("/") && verbs.includes("list") && verbs.includes("delete"))
    .map(({ name, kind, namespaced }) => resource<KubeObject>(group, version, name, kind, namespaced));
}
