import { PodwireError } from "#base/errors.ts";
import type { Keyring, PullPolicy } from "#images/index.ts";
import type { Mount } from "#kernel/mounts/index.ts";

/** A file, folder or link that an image brings into a container's root. */
export type ImageFile =
  | { readonly path: string; readonly text: string; readonly mode?: number }
  | {
      readonly path: string;
      readonly folder: true;
      readonly mode?: number;
      readonly owner?: { uid: number; gid: number };
    }
  | { readonly path: string; readonly link: string };

/** As whom an image's program runs. */
export interface ImageUser {
  readonly uid: number;
  readonly gid: number;
  /** Further groups that /etc/group gives to the user. */
  readonly groups?: readonly number[];
  /** The image names it by a name, so that it cannot be told from its file whether that is root. */
  readonly name?: string;
}

/** What a container is started from. */
export interface ContainerImage {
  /** As the pod names it. */
  readonly reference: string;
  /** Unique to the content. */
  readonly id: string;
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir: string;
  readonly user?: ImageUser;
  /** Number of the signal that asks its program to end; absent: SIGTERM. */
  readonly stopSignal?: number;
  /** Made in the directory that is the lowest layer of the container's root, or the highest above `layers`. */
  readonly files: readonly ImageFile[];
  /** Folders of unpacked layers, the lowest first. Their programs need nothing of this machine. */
  readonly layers?: readonly string[];
  /** Made before the volumes' mounts. */
  readonly mounts: readonly Mount[];
  /** Event that tells people what this image really is. */
  readonly notice?: { readonly reason: string; readonly message: string };
  /** A registry was asked; how long that took, also with waiting, and the size in bytes. Absent: it was here already. */
  readonly pulled?: { readonly ms: number; readonly withWaitingMs: number; readonly size: number };
  /** The node's serving process answers for the container; its own process only stands for it. */
  readonly served?: "echo";
}

/** Reasons in a waiting container's status. */
export type ImageErrorReason = "ErrImagePull" | "InvalidImageName" | "ErrImageNeverPull";

/** No image can be had. */
export class ImageError extends PodwireError {
  readonly reason: ImageErrorReason;

  constructor(reason: ImageErrorReason, message: string) {
    super("ERR_IMAGE", message);
    this.reason = reason;
  }
}

/** A container's wish for an image. */
export interface ImageWish {
  readonly reference: string;
  readonly policy: PullPolicy;
  /** Credentials of the pod; read when a registry is to be asked. */
  readonly keyring: () => Promise<Keyring>;
  /** Hears that a registry is asked. */
  readonly onPulling: () => void;
  /** The wish is over: nobody waits for the image any more. */
  readonly signal?: AbortSignal;
}

/** Where images come from. */
export interface ImageSource {
  /**
   * Gets an image, from the network where the source has to.
   * @throws ImageError
   */
  pull(wish: ImageWish): Promise<ContainerImage>;
  /** For node.status.images. */
  list(): readonly { readonly names: readonly string[]; readonly sizeBytes: number }[];
}
