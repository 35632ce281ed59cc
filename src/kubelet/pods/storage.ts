import type { Container, Pod } from "#api/index.ts";
import type { VolumeMountPoint } from "../runtime/index.ts";
import { hasLimit, overLimit, PodVolumes, volumeReferences } from "../volumes/index.ts";
import type { PodDeps } from "./deps.ts";

/** Longest wait of a timer in one piece. */
const MAX_WAIT_MS = 24 * 3600 * 1000;
const MIN_WAIT_MS = 1000;

/** Volumes with limits are measured this often (upstream's eviction manager), in ms. */
const MEASURE_MS = 10_000;

/** Whom to tell. */
export interface StorageEvents {
  /** setUp() is due again. */
  readonly onStale: () => void;
  /** A volume has grown beyond its limit: text for the pod's status. */
  readonly onFull: (message: string) => void;
}

/** Values of the pod that a downward API volume shows and that may change. */
function shownOf({ metadata }: Pod): string {
  return JSON.stringify([metadata.labels, metadata.annotations]);
}

/** A pod's volumes over its life: contents are made anew when what they show changes or a token gets old. */
export class PodStorage {
  readonly #deps: PodDeps;
  readonly #volumes: PodVolumes;
  readonly #events: StorageEvents;
  #fresh = false;
  #watches: (() => void)[] | undefined;
  #timer: NodeJS.Timeout | undefined;
  #limits: NodeJS.Timeout | undefined;

  constructor(deps: PodDeps, uid: string, events: StorageEvents) {
    this.#deps = deps;
    this.#volumes = new PodVolumes(`${deps.podsFolder}/${uid}`);
    this.#events = events;
  }

  /**
   * {@link setUp} beside the making of the pod's network, unless a volume tells the pod's address.
   * @param podIPs the pod's addresses, once it has a network
   */
  setUpBeside(network: Promise<void>, pod: Pod, podIPs: () => readonly string[]): Promise<void> {
    const needsAddress = JSON.stringify(pod.spec.volumes ?? []).includes("status.podIP");
    const setUp = () => this.setUp(pod, podIPs());
    return needsAddress ? network.then(setUp) : setUp();
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
        allocatable: node.allocatable,
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
    if (pod.spec.volumes?.some(({ emptyDir }) => hasLimit(emptyDir))) this.#measureLater(pod);
    const { refreshMs } = this.#volumes;
    if (refreshMs === undefined) return;
    clearTimeout(this.#timer);
    const wait = Math.min(Math.max(refreshMs - Date.now(), MIN_WAIT_MS), MAX_WAIT_MS);
    this.#timer = setTimeout(() => this.#stale(), wait);
  }

  /** What a container sees of the volumes. @param env its variables @throws VolumeError, ContainerConfigError */
  mountsOf(container: Container, pod: Pod, env: Readonly<Record<string, string>>): VolumeMountPoint[] {
    return this.#volumes.mountsOf(container, pod, env);
  }

  /** The object has changed: what volumes show of it may have, too. */
  podChanged(before: Pod, now: Pod): void {
    const shows = now.spec.volumes?.some((v) => v.downwardAPI ?? v.projected?.sources?.some((s) => s.downwardAPI));
    if (shows && shownOf(before) !== shownOf(now)) this.#stale();
  }

  /** Contents are no longer kept up to date. */
  release(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#limits);
    this.#limits = undefined;
    for (const stop of this.#watches ?? []) stop();
    this.#watches = undefined;
  }

  /** Deletes what the volumes hold on this node. */
  async remove(): Promise<void> {
    this.release();
    await this.#volumes.remove();
  }

  #measureLater(pod: Pod): void {
    this.#limits ??= setTimeout(async () => {
      const message = await overLimit(pod, (volume) => this.#volumes.pathOf(volume));
      // Released meanwhile.
      if (this.#limits === undefined) return;
      this.#limits = undefined;
      if (message === undefined) this.#measureLater(pod);
      else this.#events.onFull(message);
    }, MEASURE_MS);
  }

  #stale(): void {
    this.#fresh = false;
    this.#events.onStale();
  }
}
