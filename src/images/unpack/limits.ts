/** Bounds of what one layer may be unpacked to. */
export interface LayerLimits {
  readonly entries: number;
  /** Of all files' contents, in bytes. */
  readonly bytes: number;
  /** Unpacked bytes to packed ones, once `ratioFrom` bytes have come out. */
  readonly ratio: number;
  readonly ratioFrom: number;
  /** Of a path, in bytes (PATH_MAX less some room for where layers lie). */
  readonly path: number;
  readonly depth: number;
}

/** What no image that is meant well comes near to. */
export const defaultLimits: LayerLimits = {
  entries: 1_000_000,
  bytes: 32 * 1024 ** 3,
  ratio: 300,
  ratioFrom: 512 * 1024 ** 2,
  path: 3584,
  depth: 256,
};
