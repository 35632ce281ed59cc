import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { ImageServer, type ImageSettings, Puller, Pulls } from "#images/index.ts";
import type { StageSources } from "#lab/stage/index.ts";
import { StageKeeper } from "./keeper.ts";
import { openImageStore } from "./open.ts";

/** What the engine's stage shows of images to the lab. */
export interface ImageFolders {
  /** Unpacked layers; read-only in the lab. */
  readonly layers: string;
  /** Where the cluster's nodes find the socket by which they ask. */
  readonly socket: string;
}

/** A cluster's images: pulled here, outside of it, for its nodes. */
export class ImageSupply {
  readonly folders: ImageFolders;
  readonly #stop: () => Promise<void>;

  private constructor(folders: ImageFolders, stop: () => Promise<void>) {
    this.folders = folders;
    this.#stop = stop;
  }

  /**
   * Opens the user's store and begins to listen.
   * @param cluster its name
   * @param folder the cluster's state directory
   * @throws PodwireError "NewerState"
   */
  static async start(
    cluster: string,
    folder: string,
    sources: Omit<StageSources, "state" | "images">,
    settings: ImageSettings,
  ): Promise<ImageSupply> {
    const store = openImageStore();
    const socket = join(folder, "images");
    mkdirSync(socket, { mode: 0o755 });
    const uses = await store.use(cluster);
    const puller = new Puller({ settings });
    const keeper = new StageKeeper(sources, store);
    const server = await ImageServer.listen(socket, new Pulls({ store, keeper, puller, settings, uses }));
    return new ImageSupply({ layers: store.layout.layers, socket }, async () => {
      server.close();
      puller.close();
      await keeper.close();
      uses.end();
    });
  }

  /** Ends it. */
  stop(): Promise<void> {
    return this.#stop();
  }
}
