import { chmodSync, existsSync, mkdirSync, realpathSync, statSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { Container, Pod, Volume } from "#api/index.ts";
import type { VolumeMountPoint } from "../runtime/index.ts";
import { writeAtomically } from "./atomicFolder.ts";
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

  /** What a container sees of them. @throws VolumeError for a mount of no volume, or of a path outside of it */
  mountsOf(container: Container, pod: Pod): VolumeMountPoint[] {
    return (container.volumeMounts ?? []).map((mount) => {
      const path = this.#paths.get(mount.name);
      if (path === undefined)
        throw new VolumeError(`volume "${mount.name}" of pod ${pod.metadata.name} does not exist`);
      const source = mount.subPath ? subPathOf(path, mount.subPath) : path;
      return { source, target: mount.mountPath, readonly: mount.readOnly ?? false };
    });
  }

  /** Deletes what the pod's volumes held on this node; host paths stay. */
  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
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
    const path = `${this.#folder}/volumes/kubernetes.io~${FOLDER_NAMES[kind]}/${volume.name}`;
    this.#paths.set(volume.name, path);
    if (kind === "emptyDir") {
      mkdirSync(path, { recursive: true });
      // mkdir(2) takes the umask off; users other than root write here too.
      chmodSync(path, 0o777);
      return;
    }
    try {
      const payload = await volumePayload(volume, sources);
      if (!payload) return;
      writeAtomically(path, payload.files, new Date());
      const { refreshMs } = payload;
      if (refreshMs !== undefined) this.#refreshMs = Math.min(this.#refreshMs ?? refreshMs, refreshMs);
    } catch (error) {
      if (!(error instanceof VolumeError)) throw error;
      throw new VolumeError(`MountVolume.SetUp failed for volume "${volume.name}" : ${error.message}`);
    }
  }
}

/** A path in a volume; made as a folder when it is missing. A link that leads out of the volume is refused. */
function subPathOf(volume: string, subPath: string): string {
  const path = `${volume}/${subPath}`;
  if (!existsSync(path)) mkdirSync(path, { recursive: true });
  const real = realpathSync(path);
  const root = realpathSync(volume);
  if (real !== root && !real.startsWith(`${root}/`))
    throw new VolumeError(`subPath "${subPath}" leads out of its volume`);
  return real;
}

/** Checks and prepares a path of the node (core/v1 HostPathType). */
function hostPath(volume: string, { path, type = "" }: NonNullable<Volume["hostPath"]>): string {
  const failed = (what: string) =>
    new VolumeError(
      `MountVolume.SetUp failed for volume "${volume}" : hostPath type check failed: ${path} is not a ${what}`,
    );
  if (!existsSync(path)) {
    if (type === "FileOrCreate") {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, "");
    } else if (type === "" || type === "DirectoryOrCreate") mkdirSync(path, { recursive: true });
    else throw failed(type === "Directory" ? "directory" : type.toLowerCase());
  }
  const stat = statSync(path);
  if (type.startsWith("Directory") && !stat.isDirectory()) throw failed("directory");
  if (type.startsWith("File") && !stat.isFile()) throw failed("file");
  return path;
}
