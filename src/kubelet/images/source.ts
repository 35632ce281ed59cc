import { PodwireError } from "#base/errors.ts";
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
  readonly user?: { readonly uid: number; readonly gid: number };
  /** Made in the empty directory that becomes the container's root. */
  readonly files: readonly ImageFile[];
  /** Made before the volumes' mounts. */
  readonly mounts: readonly Mount[];
  /** Event that tells people what this image really is. */
  readonly notice?: { readonly reason: string; readonly message: string };
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

/** Where images come from. */
export interface ImageSource {
  /**
   * Gets an image, from the network where the source has to.
   * @throws ImageError
   */
  pull(reference: string, policy: "Always" | "IfNotPresent" | "Never"): Promise<ContainerImage>;
  /** For node.status.images. */
  list(): readonly { readonly names: readonly string[]; readonly sizeBytes: number }[];
}
