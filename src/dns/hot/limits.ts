import { maxMessageBytes } from "#wire/dns/index.ts";
import { udpBytes } from "../core/index.ts";
import type { Asked } from "./question.ts";

const sizes = { smallest: udpBytes.smallest, largest: udpBytes.largest };

/** Bounds of UDP answers by IP family. */
export const udpLimits: { readonly ipv4: Asked; readonly ipv6: Asked } = {
  ipv4: { family: 1, ...sizes },
  ipv6: { family: 2, ...sizes },
};

/** The same for TCP: a message of any size that its length has room for, whatever EDNS says. */
export const tcpLimits: typeof udpLimits = {
  ipv4: { family: 1, smallest: maxMessageBytes, largest: maxMessageBytes },
  ipv6: { family: 2, smallest: maxMessageBytes, largest: maxMessageBytes },
};
