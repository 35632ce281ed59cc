import { ImageFault, parseWithTag } from "#images/index.ts";
import { ImageError } from "./source.ts";

/** @throws ImageError "InvalidImageName" in the words of the kubelet */
export function checkName(reference: string): void {
  try {
    parseWithTag(reference);
  } catch (error) {
    if (error instanceof ImageFault) throw invalidName(reference, error.message);
    throw error;
  }
}

/** The kubelet's error for a name that cannot be read. @param words what is wrong with it */
export function invalidName(reference: string, words: string): ImageError {
  const name = JSON.stringify(reference);
  return new ImageError(
    "InvalidImageName",
    `Failed to apply default image tag ${name}: couldn't parse image name ${name}: ${words}`,
  );
}

/** The kubelet's error for an image that is not here and is not to be asked for. */
export function neverPulled(reference: string): ImageError {
  const words = `Container image ${JSON.stringify(reference)} is not present with pull policy of Never`;
  return new ImageError("ErrImageNeverPull", words);
}
