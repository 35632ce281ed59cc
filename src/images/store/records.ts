import { createHash } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { namesIn, readIfThere, writeWhole } from "./files.ts";
import type { StoreLayout } from "./layout.ts";

/** A layer of an image. */
export interface LayerRecord {
  /** Of the packed layer. */
  readonly digest: string;
  readonly diffId: string;
  /** Packed, in bytes. */
  readonly size: number;
}

/** An image under one name. */
export interface ImageRecord {
  /** Whole name with tag, or with a digest where it was asked for by one. */
  readonly name: string;
  /** Of what the name means at the registry: a manifest or an index. */
  readonly digest: string;
  readonly manifest: string;
  /** Digest of the configuration: the image's id. */
  readonly id: string;
  /** The lowest first. */
  readonly layers: readonly LayerRecord[];
  /** Of all that was to be fetched, in bytes. */
  readonly size: number;
  /** RFC 3339. */
  readonly pulledAt: string;
}

/** The images of a store by name. */
export class Records {
  readonly #layout: StoreLayout;

  constructor(layout: StoreLayout) {
    this.#layout = layout;
  }

  /** All, by name. */
  list(): ImageRecord[] {
    return namesIn(this.#layout.names)
      .filter((name) => name.endsWith(".json"))
      .flatMap((name) => {
        const text = readIfThere(join(this.#layout.names, name));
        return text === undefined ? [] : [JSON.parse(text) as ImageRecord];
      })
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  find(name: string): ImageRecord | undefined {
    const text = readIfThere(this.#file(name));
    return text === undefined ? undefined : (JSON.parse(text) as ImageRecord);
  }

  save(record: ImageRecord): void {
    writeWhole(this.#file(record.name), `${JSON.stringify(record)}\n`);
  }

  remove(name: string): void {
    rmSync(this.#file(name), { force: true });
  }

  #file(name: string): string {
    return join(this.#layout.names, `${createHash("sha256").update(name).digest("hex")}.json`);
  }
}
