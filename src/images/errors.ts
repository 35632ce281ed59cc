import { PodwireError } from "#base/errors.ts";

/**
 * Why an image cannot be had. `Unreachable`: no registry answered. `NotFound`: it answered that there is none.
 * `Denied`: it refused. `Refused`: the image is not taken, since it is broken, forged or dangerous.
 */
export type ImageFaultCode = "InvalidName" | "Unreachable" | "NotFound" | "Denied" | "Refused" | "Failed";

/** An image cannot be had; the message says why, in containerd's words where it has some. */
export class ImageFault extends PodwireError {
  declare readonly code: ImageFaultCode;

  constructor(code: ImageFaultCode, message: string, cause?: unknown) {
    super(code, message, {}, cause);
    this.name = "ImageFault";
  }
}

/** Whether an error is of a code. */
export function isFault(error: unknown, code: ImageFaultCode): boolean {
  return error instanceof ImageFault && error.code === code;
}
