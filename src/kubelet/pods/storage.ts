import type { Container, Pod } from "#api/index.ts";
import type { VolumeMountPoint } from "../runtime/index.ts";
import { PodVolumes, volumeReferences } from "../volumes/index.ts";
import type { PodDeps } from "./deps.ts";

/** Longest wait of a timer in one piece. */
const MAX_WAIT_MS = 24 * 3600 * 1000;
const MIN_WAIT_MS = 1000;

/** A pod's volumes over its life: contents are made anew when what they show changes or a token gets old. */
export class PodStorage {
  readonly #deps: PodDeps;
  readonly #volumes: PodVolumes;
  readonly #onStale: () => void;
  #fresh = false;
  #watches: (() => void)[] | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param onStale setUp() is due again */
  constructor(deps: PodDeps, uid: string, onStale: () => void) {
    this.#deps = deps;
    this.#volumes = new PodVolumes(`${deps.podsFolder}/${uid}`);
    this.#onStale = onStale;
  }

  /** Makes the volumes, or makes their contents anew where they are stale. @throws VolumeError */
  async setUp(pod: Pod, podIPs: readonly string[]): Promise<void> {
    if (this.#fresh) return;
    const { objects, node } = this.#deps;
    const namespace = pod.metadata.namespace ?? "default";
    // Set before reading: a change while it is read makes it stale again.
    this.#fresh = true;
    try {
      await this.#volumes.setUp({
        pod,
        podIPs,
        hostIPs: node.addresses,
        configMap: (name) => objects.configMap(namespace, name),
        secret: (name) => objects.secret(namespace, name),
        token: (audience, expirationSeconds) => objects.token(pod, audience, expirationSeconds),
      });
    } catch (error) {
      this.#fresh = false;
      throw error;
    }
    // Watched from now on, once: what changed since it was read comes as the watch's first state.
    this.#watches ??= volumeReferences(pod).map((r) => objects.watch(r, namespace, () => this.#stale()));
    const { refreshMs } = this.#volumes;
    if (refreshMs === undefined) return;
    clearTimeout(this.#timer);
    const wait = Math.min(Math.max(refreshMs - Date.now(), MIN_WAIT_MS), MAX_WAIT_MS);
    this.#timer = setTimeout(() => this.#stale(), wait);
  }

  /** What a container sees of the volumes. @throws VolumeError */
  mountsOf(container: Container, pod: Pod): VolumeMountPoint[] {
    return this.#volumes.mountsOf(container, pod);
  }

  /** Contents are no longer kept up to date. */
  release(): void {
    clearTimeout(this.#timer);
    for (const stop of this.#watches ?? []) stop();
    this.#watches = undefined;
  }

  /** Deletes what the volumes hold on this node. */
  async remove(): Promise<void> {
    this.release();
    await this.#volumes.remove();
  }

  #stale(): void {
    this.#fresh = false;
    this.#onStale();
  }
}
