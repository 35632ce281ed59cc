import { createHash } from "node:crypto";
import { chmodSync, chownSync, existsSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { ContainerImage, ImageFile } from "../images/index.ts";

/** Writes files of an image below a folder. */
export function writeFiles(folder: string, files: readonly ImageFile[]): void {
  for (const file of files) {
    const path = folder + file.path;
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    if ("link" in file) symlinkSync(file.link, path);
    else if ("folder" in file) makeFolder(path, file);
    else writeFileSync(path, file.text, { mode: file.mode ?? 0o644 });
  }
}

function makeFolder(path: string, file: Extract<ImageFile, { folder: true }>): void {
  mkdirSync(path, { recursive: true });
  // mkdir(2) takes the umask off and drops the sticky bit.
  chmodSync(path, file.mode ?? 0o755);
  if (file.owner) chownSync(path, file.owner.uid, file.owner.gid);
}

/** The read-only layers of images, shared by all containers of the node. */
export class ImageLayers {
  readonly #folder: string;
  /** Short names of folders: mount(2) takes 4,095 bytes of options, and an image may have 127 layers. */
  readonly #links = new Map<string, string>();

  /** @param folder where layers are made, and links to those that are made elsewhere */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Folders of an image's layers, the highest first; its own files are written at the first call. */
  layersOf(image: ContainerImage): readonly string[] {
    const { layers = [] } = image;
    return [this.#made(image.files), ...layers.toReversed().map((path) => this.#linked(path))];
  }

  #made(files: readonly ImageFile[]): string {
    const name = createHash("sha256").update(JSON.stringify(files)).digest("hex").slice(0, 16);
    const path = `${this.#folder}/${name}`;
    if (existsSync(path)) return path;
    // Written aside and renamed: a layer under its name is complete, whenever its writer was killed.
    const draft = `${path}.${process.pid}`;
    rmSync(draft, { recursive: true, force: true });
    mkdirSync(draft, { recursive: true, mode: 0o755 });
    writeFiles(draft, files);
    renameSync(draft, path);
    return path;
  }

  #linked(path: string): string {
    const known = this.#links.get(path);
    if (known !== undefined) return known;
    mkdirSync(`${this.#folder}/l`, { recursive: true });
    // Links of an agent before this one go by other numbers than ours; mounts do not need them any more.
    const link = `${this.#folder}/l/${this.#links.size}`;
    rmSync(link, { force: true });
    symlinkSync(path, link);
    this.#links.set(path, link);
    return link;
  }
}
