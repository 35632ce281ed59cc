import { ImageFault } from "./errors.ts";
import {
  checkConfig,
  type Descriptor,
  type Manifest,
  ownPlatform,
  type Platform,
  packingOf,
  parseConfig,
} from "./manifest.ts";
import type { ImageRecord, ImageStore, LayerKeeper, LayerRecord } from "./store/index.ts";

/** Layers that are fetched at the same time (as containerd and Docker). */
const AT_ONCE = 3;

/** What is going on, for people who wait. */
export interface Progress {
  /** `exists`: nothing had to be fetched. */
  readonly state: "fetching" | "unpacking" | "done" | "exists";
  readonly digest: string;
  /** Bytes that came, and that are wanted. */
  readonly done: number;
  readonly total: number;
}

/** Where an image's parts come from. */
export interface Origin {
  /** A blob's bytes. @throws ImageFault */
  blob(descriptor: Descriptor): AsyncIterable<Uint8Array>;
}

/** What brings images into a store. */
export interface Bringing {
  readonly store: ImageStore;
  readonly keeper: LayerKeeper;
  readonly platform?: Platform;
  readonly onProgress?: (progress: Progress) => void;
}

/** An image's manifest and under which name it goes. */
export interface Wanted {
  /** Whole name with tag or digest. */
  readonly name: string;
  /** What the name means: the manifest's own digest, or that of the index which led to it. */
  readonly digest: string;
  readonly manifestDigest: string;
  readonly manifestBytes: Uint8Array;
  readonly manifest: Manifest;
}

/**
 * Brings an image into a store: fetches what is missing of it, checks it, unpacks it, and gives it its name last.
 * The caller holds the store's shared lock.
 * @throws ImageFault
 */
export async function bringImage(wanted: Wanted, origin: Origin, to: Bringing): Promise<ImageRecord> {
  const { store } = to;
  const { manifest } = wanted;
  const platform = to.platform ?? ownPlatform();
  const packings = manifest.layers.map(({ mediaType }) => packingOf(mediaType));
  await fetchBlob(manifest.config, origin, to);
  const config = parseConfig(store.blobs.read(manifest.config.digest));
  checkConfig(config, manifest.layers.length, platform);
  const layers = manifest.layers.map(({ digest, size }, i): LayerRecord => {
    return { digest, size, diffId: config.diffIds[i] as string };
  });
  await inParallel(AT_ONCE, layers, async (layer, i) => {
    const descriptor = manifest.layers[i] as Descriptor;
    if (store.hasLayer(layer.diffId)) return report(to, "exists", descriptor, descriptor.size);
    await fetchBlob(descriptor, origin, to);
    report(to, "unpacking", descriptor, descriptor.size);
    const packing = packings[i] ?? "none";
    await store.lend(layer.digest, (blob) => to.keeper.unpack({ blob, packing, diffId: layer.diffId }));
    report(to, "done", descriptor, descriptor.size);
  });
  store.blobs.put(wanted.manifestDigest, wanted.manifestBytes);
  const size = [manifest.config, ...manifest.layers].reduce(
    (sum, part) => sum + part.size,
    wanted.manifestBytes.length,
  );
  const record: ImageRecord = {
    name: wanted.name,
    digest: wanted.digest,
    manifest: wanted.manifestDigest,
    id: manifest.config.digest,
    layers,
    size,
    pulledAt: new Date().toISOString(),
  };
  store.records.save(record);
  return record;
}

async function fetchBlob(descriptor: Descriptor, origin: Origin, to: Bringing): Promise<void> {
  if (to.store.blobs.has(descriptor)) return;
  let done = 0;
  report(to, "fetching", descriptor, 0);
  await to.store.blobs.write(descriptor, origin.blob(descriptor), (count) => {
    done += count;
    report(to, "fetching", descriptor, done);
  });
}

function report({ onProgress }: Bringing, state: Progress["state"], { digest, size }: Descriptor, done: number): void {
  onProgress?.({ state, digest, done, total: size });
}

/** Does something with each item, `limit` at a time; the first failure is thrown when all that began have ended. */
async function inParallel<T>(
  limit: number,
  items: readonly T[],
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  let failure: unknown;
  const run = async (): Promise<void> => {
    while (next < items.length && failure === undefined) {
      const index = next++;
      try {
        await work(items[index] as T, index);
      } catch (error) {
        failure ??= error ?? new ImageFault("Failed", "a layer could not be had");
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, run));
  if (failure !== undefined) throw failure;
}
