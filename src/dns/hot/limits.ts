import { udpBytes } from "../core/index.ts";
import type { Asked } from "./reader.ts";

const sizes = { smallest: udpBytes.smallest, largest: udpBytes.largest };

/** Bounds of UDP answers by IP family. */
export const udpLimits: { readonly ipv4: Asked; readonly ipv6: Asked } = {
  ipv4: { family: 1, ...sizes },
  ipv6: { family: 2, ...sizes },
};
