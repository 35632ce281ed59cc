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

/** The read-only layers of images, written once and shared by all containers of the node. */
export class ImageLayers {
  readonly #folder: string;

  /** @param folder where the layers are kept */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Folder of the image's files; written at the first call. */
  layerOf(image: ContainerImage): string {
    const name = createHash("sha256").update(image.id).digest("hex").slice(0, 16);
    const path = `${this.#folder}/${name}`;
    if (existsSync(path)) return path;
    // Written aside and renamed: a layer under its name is complete, whenever its writer was killed.
    const draft = `${path}.${process.pid}`;
    rmSync(draft, { recursive: true, force: true });
    mkdirSync(draft, { recursive: true, mode: 0o755 });
    writeFiles(draft, image.files);
    renameSync(draft, path);
    return path;
  }
}
