import type { ImageSettings } from "../config.ts";
import type { Keyring } from "../credentials.ts";
import type { ImageFaultCode } from "../errors.ts";
import type { ImageConfig } from "../manifest.ts";

/** When a registry is asked (API, Container.imagePullPolicy). */
export type PullPolicy = "Always" | "IfNotPresent" | "Never";

/** A node asks for an image: POST /v1/pull, answered by an {@link ImageAnswer}. */
export interface ImageRequest {
  readonly image: string;
  readonly policy: PullPolicy;
  readonly keyring: Keyring;
}

/** An image as containers are made from it. */
export interface ImageFacts {
  /** Whole name. */
  readonly name: string;
  /** As a container's status shows it: `docker.io/library/nginx@sha256:…`. */
  readonly imageId: string;
  /** Names of the folders of its layers, the lowest first. */
  readonly layers: readonly string[];
  readonly config: ImageConfig;
  /** In bytes, as it is fetched. */
  readonly size: number;
}

/** The answer: an image, or why there is none. */
export type ImageAnswer =
  | {
      readonly ok: true;
      readonly image: ImageFacts;
      /** How long that took, also with the time until its turn. Absent: it was here already, and no registry was asked. */
      readonly pulled?: { readonly ms: number; readonly withWaitingMs: number };
    }
  | {
      readonly ok: false;
      /** `NotPresent`: it is not here, and the policy forbids to ask. */
      readonly code: ImageFaultCode | "NotPresent";
      readonly message: string;
      /** An image of that name is here, though it could not be asked for anew. */
      readonly present: boolean;
    };

/** What is here: GET /v1/state. */
export interface ImagesState {
  readonly settings: Pick<ImageSettings, "strict" | "templates">;
  readonly images: readonly { readonly names: readonly string[]; readonly sizeBytes: number }[];
}

/** Bytes of a request: credentials of several Secrets, of 1 MiB each at most. */
export const MAX_REQUEST = 8 * 1024 * 1024;
/** Bytes of an answer: a configuration, or a list of images. */
export const MAX_ANSWER = 16 * 1024 * 1024;
