import type { Pod } from "#api/index.ts";

/** Upstream's folders of container logs. */
export interface LogFolders {
  /** `/var/log/pods` */
  readonly pods: string;
  /** `/var/log/containers` */
  readonly containers: string;
}

/** Folder of a pod's logs. */
export function podLogFolder(folders: LogFolders, pod: Pod): string {
  const { namespace, name, uid } = pod.metadata;
  return `${folders.pods}/${namespace}_${name}_${uid}`;
}

/** Log of one run of a container; runs count from 0. */
export function containerLogPath(folders: LogFolders, pod: Pod, container: string, run: number): string {
  return `${podLogFolder(folders, pod)}/${container}/${run}.log`;
}

/** The link by which log collectors find it. */
export function containerLogLink(folders: LogFolders, pod: Pod, container: string, containerId: string): string {
  const { namespace, name } = pod.metadata;
  return `${folders.containers}/${name}_${namespace}_${container}-${containerId}.log`;
}
