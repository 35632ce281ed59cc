import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { PodwireError } from "#base/errors.ts";
import { makeFolder } from "#base/folders.ts";
import { hexOf } from "../digest.ts";
import { writeWhole } from "./files.ts";

/** Version of the layout. Another one is refused, never guessed. */
const VERSION = "podwire-images 1";

/**
 * Where a store keeps what.
 *
 *     version
 *     lock            shared by whoever brings images, held alone by whoever takes them away
 *     blobs/HEX       manifests, configurations and packed layers, named by their sha256; whole, or not there
 *     partial/…       blobs on their way
 *     names/HEX.json  an image by its name (HEX: sha256 of the name)
 *     uses/CLUSTER    digests of the images that a cluster has had, locked while it runs
 *     lab/            belongs to the ids of clusters:
 *       layers/HEX    an unpacked layer, named by its diffID; whole, or not there
 *       drafts/…      layers on their way
 *       in/…          links to packed layers that are being unpacked
 */
export class StoreLayout {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /**
   * Opens a store, which is made when missing.
   * @throws PodwireError "NewerState" for one of another version
   */
  static open(path: string): StoreLayout {
    const layout = new StoreLayout(path);
    makeFolder(path);
    const version = join(path, "version");
    if (!existsSync(version)) writeWhole(version, `${VERSION}\n`);
    const found = readFileSync(version, "utf8").trim();
    if (found !== VERSION)
      throw new PodwireError("NewerState", `${path} was written by another version of podwire (${found}); remove it`);
    for (const folder of [layout.blobs, layout.partial, layout.names, layout.uses, layout.lab])
      mkdirSync(folder, { recursive: true, mode: 0o700 });
    return layout;
  }

  get lock(): string {
    return join(this.path, "lock");
  }
  get blobs(): string {
    return join(this.path, "blobs");
  }
  get partial(): string {
    return join(this.path, "partial");
  }
  get names(): string {
    return join(this.path, "names");
  }
  get uses(): string {
    return join(this.path, "uses");
  }
  /** The folder that clusters' ids own. */
  get lab(): string {
    return join(this.path, "lab");
  }
  get layers(): string {
    return join(this.lab, "layers");
  }

  /** File of a blob. @throws ImageFault for what is no digest */
  blob(digest: string): string {
    return join(this.blobs, hexOf(digest));
  }

  /** Folder of an unpacked layer. @throws ImageFault for what is no digest */
  layer(diffId: string): string {
    return join(this.layers, hexOf(diffId));
  }
}
