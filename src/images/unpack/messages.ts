import type { ImageFaultCode } from "../errors.ts";
import type { Packing } from "../manifest.ts";

/** What the unpacking program is asked. */
export type UnpackMessage =
  | {
      readonly id: number;
      readonly op: "unpack";
      readonly blob: string;
      readonly packing: Packing;
      readonly diffId: string;
    }
  | { readonly id: number; readonly op: "remove"; readonly layers: readonly string[] };

/** Its answer. */
export interface UnpackResult {
  readonly id: number;
  readonly fault?: { readonly code: ImageFaultCode; readonly message: string };
}
