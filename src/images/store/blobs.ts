import { createHash, randomBytes } from "node:crypto";
import { existsSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { checkDigest } from "../digest.ts";
import { ImageFault } from "../errors.ts";
import type { Descriptor } from "../manifest.ts";
import { syncFolder } from "./files.ts";
import type { StoreLayout } from "./layout.ts";

/** Blobs by digest. One under its name is whole and what its name says, whenever its writer was killed. */
export class Blobs {
  readonly #layout: StoreLayout;

  constructor(layout: StoreLayout) {
    this.#layout = layout;
  }

  has({ digest, size }: Descriptor): boolean {
    const stat = statSync(this.#layout.blob(digest), { throwIfNoEntry: false });
    return stat !== undefined && stat.size === size;
  }

  /** A small blob. @throws Error with code ENOENT */
  read(digest: string): Buffer {
    return readFileSync(this.#layout.blob(digest));
  }

  /** Keeps a small blob whose digest was checked. */
  put(digest: string, bytes: Uint8Array): void {
    const path = this.#layout.blob(digest);
    if (existsSync(path)) return;
    const draft = this.#draft();
    writeFileSync(draft, bytes, { mode: 0o644, flush: true });
    renameSync(draft, path);
  }

  /**
   * Keeps what comes, when it is what the descriptor says.
   * @param onBytes hears how many came
   * @throws ImageFault "Refused" for another digest or size; nothing is kept then
   */
  async write(
    { digest, size }: Descriptor,
    chunks: AsyncIterable<Uint8Array>,
    onBytes: (count: number) => void,
  ): Promise<void> {
    const draft = this.#draft();
    const file = await open(draft, "wx", 0o644);
    try {
      const hash = createHash("sha256");
      let length = 0;
      for await (const chunk of chunks) {
        length += chunk.length;
        if (length > size) throw new ImageFault("Refused", `blob ${digest} has more than its ${size} bytes`);
        hash.update(chunk);
        await file.write(chunk);
        onBytes(chunk.length);
      }
      if (length !== size)
        throw new ImageFault("Refused", `blob ${digest} has ${length} bytes, not ${size}: unexpected EOF`);
      checkDigest(`sha256:${hash.digest("hex")}`, digest);
      await file.sync();
      renameSync(draft, this.#layout.blob(digest));
      syncFolder(this.#layout.blobs);
    } catch (error) {
      rmSync(draft, { force: true });
      throw (error as NodeJS.ErrnoException).code === "ENOSPC"
        ? new ImageFault("Failed", `blob ${digest}: no space left on device`, error)
        : error;
    } finally {
      await file.close();
    }
  }

  /** Opens a blob for reading. @throws Error with code ENOENT */
  open(digest: string): number {
    return openSync(this.#layout.blob(digest), "r");
  }

  #draft(): string {
    return join(this.#layout.partial, `${process.pid}-${randomBytes(8).toString("hex")}`);
  }
}
