import { normalize } from "node:path/posix";
import type { Container, Pod, Volume } from "#api/index.ts";
import { isErrno } from "#kernel/ffi/index.ts";
import { removeTree } from "#kernel/files/index.ts";
import { makeBeneath } from "#kernel/mounts/index.ts";
import type { VolumeMountPoint } from "../runtime/index.ts";
import { ContainerConfigError, expand } from "../spec/env.ts";
import { writeAtomically } from "./atomicFolder.ts";
import { dropEmptyDirs, makeEmptyDir } from "./emptyDir.ts";
import { hostPath } from "./hostPath.ts";
import { giveToGroup } from "./ownership.ts";
import { VolumeError, type VolumeSources, volumePayload } from "./payload.ts";

/** Kinds of sources by the names that upstream's folders have. */
const KINDS = ["emptyDir", "configMap", "secret", "downwardAPI", "projected"] as const;
const FOLDER_NAMES = {
  emptyDir: "empty-dir",
  configMap: "configmap",
  secret: "secret",
  downwardAPI: "downward-api",
  projected: "projected",
} as const;
/** Kinds whose contents are the node's to write: containers see them read-only (pkg/volume, GetAttributes). */
const READ_ONLY: readonly (typeof KINDS)[number][] = ["configMap", "secret", "downwardAPI", "projected"];

/** The volumes of one pod. */
export class PodVolumes {
  readonly #folder: string;
  readonly #paths = new Map<string, string>();
  #refreshMs: number | undefined;

  /** @param folder the pod's folder, `/var/lib/kubelet/pods/UID` */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** When the contents have to be made anew, in ms since 1970. */
  get refreshMs(): number | undefined {
    return this.#refreshMs;
  }

  /**
   * Makes all volumes of the pod, or makes their contents anew.
   * @throws VolumeError naming the volume
   */
  async setUp(sources: VolumeSources): Promise<void> {
    this.#refreshMs = undefined;
    await Promise.all((sources.pod.spec.volumes ?? []).map((volume) => this.#setUpOne(volume, sources)));
  }

  /** Where a volume is on this node. */
  pathOf(volume: string): string | undefined {
    return this.#paths.get(volume);
  }

  /**
   * What a container sees of them.
   * @param env its variables, for parts of paths
   * @throws VolumeError for a mount of no volume, or of a path outside of it
   */
  mountsOf(container: Container, pod: Pod, env: Readonly<Record<string, string>>): VolumeMountPoint[] {
    return (container.volumeMounts ?? []).map((mount) => {
      const path = this.#paths.get(mount.name);
      if (path === undefined)
        throw new VolumeError(`volume "${mount.name}" of pod ${pod.metadata.name} does not exist`);
      if (normalize(mount.mountPath) === "/")
        throw new VolumeError(`volume "${mount.name}" cannot be mounted in the place of the container's root`);
      const inside = mount.subPathExpr ? expanded(mount.subPathExpr, env) : mount.subPath;
      const failed = `failed to prepare subPath for volumeMount "${mount.name}" of container "${container.name}"`;
      const volume = pod.spec.volumes?.find(({ name }) => name === mount.name);
      const readonly = (mount.readOnly ?? false) || READ_ONLY.some((kind) => volume?.[kind] !== undefined);
      const part = inside ? { inside: subPathOf(path, inside, failed) } : {};
      return { source: path, target: mount.mountPath, readonly, ...part };
    });
  }

  /** Deletes what the pod's volumes held on this node; host paths stay. */
  async remove(): Promise<void> {
    dropEmptyDirs(this.#folder);
    await removeTree(this.#folder);
  }

  async #setUpOne(volume: Volume, sources: VolumeSources): Promise<void> {
    if (volume.hostPath) {
      this.#paths.set(volume.name, hostPath(volume.name, volume.hostPath));
      return;
    }
    const kind = KINDS.find((k) => volume[k] !== undefined);
    if (!kind) {
      throw new VolumeError(
        `volume "${volume.name}": this kind of volume is not supported; there are hostPath, ${KINDS.join(", ")}`,
      );
    }
    const group = sources.pod.spec.securityContext?.fsGroup;
    const path = `${this.#folder}/volumes/kubernetes.io~${FOLDER_NAMES[kind]}/${volume.name}`;
    this.#paths.set(volume.name, path);
    if (kind === "emptyDir") {
      const isNew = makeEmptyDir(path, volume.emptyDir ?? {});
      if (isNew && group !== undefined) giveToGroup(path, group, false);
      return;
    }
    try {
      const payload = await volumePayload(volume, sources);
      if (!payload) return;
      writeAtomically(path, payload.files, new Date());
      if (group !== undefined) giveToGroup(path, group, true);
      const { refreshMs } = payload;
      if (refreshMs !== undefined) this.#refreshMs = Math.min(this.#refreshMs ?? refreshMs, refreshMs);
    } catch (error) {
      if (!(error instanceof VolumeError)) throw error;
      throw new VolumeError(`MountVolume.SetUp failed for volume "${volume.name}" : ${error.message}`);
    }
  }
}

/** @throws ContainerConfigError for a variable that is not there, or a path that does not stay in the volume */
function expanded(text: string, env: Readonly<Record<string, string>>): string {
  const path = expand(text, env);
  const missing = /\$\(([^)]+)\)/.exec(path)?.[1];
  if (missing !== undefined) throw new ContainerConfigError(`missing value for "${missing}"`);
  if (path.startsWith("/"))
    throw new ContainerConfigError(`subPath: Invalid value: "${path}": must be a relative path`);
  if (path.split("/").includes(".."))
    throw new ContainerConfigError(`subPath: Invalid value: "${path}": must not contain '..'`);
  return path;
}

/** A path in a volume; made as a folder when it is missing. A link that leads out of the volume is refused. */
function subPathOf(volume: string, subPath: string, failed: string): string {
  const path = normalize(subPath);
  try {
    makeBeneath(volume, path);
  } catch (error) {
    if (!isErrno(error, "EXDEV")) throw error;
    throw new VolumeError(`${failed}: "${subPath}" leads out of the volume`);
  }
  return path;
}
