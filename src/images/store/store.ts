import { existsSync, linkSync, mkdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { PodwireError } from "#base/errors.ts";
import { lockFile, tryLockFile } from "#kernel/locks/index.ts";
import { hexOf } from "../digest.ts";
import { ImageFault } from "../errors.ts";
import { type ImageConfig, type Packing, parseConfig, parseManifest, parseObject } from "../manifest.ts";
import { familiarName, formatReference, parseWithTag, type Reference } from "../reference.ts";
import { Blobs } from "./blobs.ts";
import { namesIn } from "./files.ts";
import { StoreLayout } from "./layout.ts";
import { type ImageRecord, Records } from "./records.ts";
import { ClusterUses, manifestsInUse } from "./uses.ts";

/** Does what only the ids of clusters may do: makes and removes unpacked layers. */
export interface LayerKeeper {
  /**
   * Unpacks a blob that lies in the lab's folder `in` into its layer, unless that is there.
   * @throws ImageFault
   */
  unpack(request: { readonly blob: string; readonly packing: Packing; readonly diffId: string }): Promise<void>;
  /** Removes layers by their names, and drafts of them. */
  remove(layers: readonly string[]): Promise<void>;
}

/** What was removed. */
export interface Removed {
  readonly images: readonly string[];
  readonly blobs: number;
  readonly layers: number;
  /** Of the blobs, in bytes. */
  readonly bytes: number;
}

/** How long whoever takes images away waits for those who bring some, in ms. */
const WAIT_MS = 10_000;

/** Images on this machine, for all clusters of a user. Several processes may use it at the same time. */
export class ImageStore {
  readonly layout: StoreLayout;
  readonly records: Records;
  readonly blobs: Blobs;

  private constructor(layout: StoreLayout) {
    this.layout = layout;
    this.records = new Records(layout);
    this.blobs = new Blobs(layout);
  }

  /** Opens it. @throws PodwireError "NewerState" */
  static open(path: string): ImageStore {
    return new ImageStore(StoreLayout.open(path));
  }

  /** Does something meanwhile nothing is taken away. */
  async bringing<T>(work: () => Promise<T>): Promise<T> {
    const release = await lockFile(this.layout.lock, 600_000, "shared");
    try {
      return await work();
    } finally {
      release();
    }
  }

  /** Begins a cluster's use of the store. */
  use(cluster: string): Promise<ClusterUses> {
    return this.bringing(async () => ClusterUses.begin(this.layout, cluster));
  }

  /** The image of a name. A name with tag and digest is found by its digest. */
  find(reference: Reference): ImageRecord | undefined {
    const { digest } = reference;
    if (digest === undefined) return this.records.find(formatReference(reference));
    const repository = `${reference.registry}/${reference.repository}`;
    return this.records
      .list()
      .find(
        (r) => (r.digest === digest || r.manifest === digest) && r.name.replace(/(:[^/]*)?(@.*)?$/, "") === repository,
      );
  }

  /** Images by what people type: a name, or the beginning of an id. @throws ImageFault "NotFound" */
  lookup(text: string): readonly ImageRecord[] {
    const id = /^(?:sha256:)?([a-f0-9]{6,64})$/.exec(text)?.[1];
    const byId = id === undefined ? [] : this.records.list().filter((r) => hexOf(r.id).startsWith(id));
    if (byId.length > 0) return byId;
    const found = id !== undefined && id.length === 64 ? undefined : this.find(parseWithTag(text));
    if (!found) throw new ImageFault("NotFound", `no image "${text}" is here; podwire images ls says which there are`);
    return [found];
  }

  /** An image's configuration. @throws ImageFault when it is not what it was */
  config(record: Pick<ImageRecord, "id">): ImageConfig {
    return parseConfig(this.blobs.read(record.id));
  }

  /** All of the image's layers are unpacked. */
  isWhole(record: ImageRecord): boolean {
    return existsSync(this.layout.blob(record.id)) && record.layers.every(({ diffId }) => this.hasLayer(diffId));
  }

  hasLayer(diffId: string): boolean {
    return existsSync(this.layout.layer(diffId));
  }

  /** Lets the lab read a blob while `work` runs. @param work gets the link's name */
  async lend<T>(digest: string, work: (name: string) => Promise<T>): Promise<T> {
    const folder = join(this.layout.lab, "in");
    const name = `${hexOf(digest)}-${process.pid}-${Math.trunc(performance.now() * 1000)}`;
    mkdirSync(folder, { recursive: true });
    linkSync(this.layout.blob(digest), join(folder, name));
    try {
      return await work(name);
    } finally {
      rmSync(join(folder, name), { force: true });
    }
  }

  /**
   * Takes images away, and all that no other image needs.
   * @throws PodwireError "InUse" when a running cluster has had one of them, or images are being brought
   */
  async remove(texts: readonly string[], keeper: LayerKeeper): Promise<Removed> {
    return this.#takingAway(async () => {
      const records = texts.flatMap((text) => this.lookup(text));
      const inUse = manifestsInUse(this.layout);
      const used = records.find((record) => inUse.has(record.manifest));
      if (used)
        throw new PodwireError(
          "InUse",
          `image ${used.name} is in use by the running cluster ${inUse.get(used.manifest)}`,
        );
      for (const { name } of records) this.records.remove(name);
      return this.#sweep(records, keeper);
    });
  }

  /**
   * Takes away what no image needs.
   * @param all also the images that no running cluster has had
   * @throws PodwireError "InUse" when images are being brought
   */
  async prune(all: boolean, keeper: LayerKeeper): Promise<Removed> {
    return this.#takingAway(async () => {
      const inUse = manifestsInUse(this.layout);
      const gone = all ? this.records.list().filter((record) => !inUse.has(record.manifest)) : [];
      for (const { name } of gone) this.records.remove(name);
      return this.#sweep(gone, keeper);
    });
  }

  async #takingAway<T>(work: () => Promise<T>): Promise<T> {
    const deadline = performance.now() + WAIT_MS;
    let release = tryLockFile(this.layout.lock);
    while (!release && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      release = tryLockFile(this.layout.lock);
    }
    if (!release)
      throw new PodwireError("InUse", "images are being pulled or loaded by another command; try again then");
    try {
      return await work();
    } finally {
      release();
    }
  }

  /** Removes blobs and layers that nothing refers to. The lock is held alone: nothing is under way. */
  async #sweep(gone: readonly ImageRecord[], keeper: LayerKeeper): Promise<Removed> {
    const { layout } = this;
    const blobs = new Set<string>();
    const layers = new Set<string>();
    const keep = ({ digest, manifest, id, layers: list }: Omit<ImageRecord, "name" | "size" | "pulledAt">): void => {
      for (const needed of [digest, manifest, id, ...list.map((l) => l.digest)]) blobs.add(hexOf(needed));
      for (const { diffId } of list) layers.add(hexOf(diffId));
    };
    for (const record of this.records.list()) keep(record);
    // A running cluster's images stay, whatever became of their names.
    for (const manifest of manifestsInUse(layout).keys()) {
      const known = this.#partsOf(manifest);
      if (known) keep(known);
    }
    const oldLayers = namesIn(layout.layers).filter((name) => !layers.has(name));
    const oldBlobs = namesIn(layout.blobs).filter((name) => !blobs.has(name));
    const bytes = oldBlobs.reduce((sum, name) => sum + statSync(join(layout.blobs, name)).size, 0);
    for (const name of oldBlobs) rmSync(join(layout.blobs, name), { force: true });
    for (const name of namesIn(layout.partial)) rmSync(join(layout.partial, name), { force: true });
    const hasDrafts = namesIn(join(layout.lab, "drafts")).length > 0 || namesIn(join(layout.lab, "in")).length > 0;
    if (oldLayers.length > 0 || hasDrafts) await keeper.remove(oldLayers);
    return { images: gone.map(({ name }) => name), blobs: oldBlobs.length, layers: oldLayers.length, bytes };
  }

  #partsOf(manifest: string): Omit<ImageRecord, "name" | "size" | "pulledAt"> | undefined {
    if (!existsSync(this.layout.blob(manifest))) return undefined;
    const { config, layers } = parseManifest(parseObject(this.blobs.read(manifest), "the manifest"));
    if (!existsSync(this.layout.blob(config.digest))) return undefined;
    const { diffIds } = parseConfig(this.blobs.read(config.digest));
    const list = layers.map(({ digest, size }, i) => ({ digest, size, diffId: diffIds[i] ?? digest }));
    return { digest: manifest, manifest, id: config.digest, layers: list };
  }
}

/** The name of an image as people write it, with its tag or digest. */
export function shownName(name: string): string {
  const reference = parseWithTag(name);
  const { tag, digest } = reference;
  return `${familiarName(reference)}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
}
