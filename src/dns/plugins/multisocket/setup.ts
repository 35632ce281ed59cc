import { availableParallelism } from "node:os";
import type { Setup } from "../../core/index.ts";
import { args, integer, noBlock } from "../../corefile/index.ts";

/** As CoreDNS allows. */
const maxSockets = 1024;

/**
 * `multisocket [NUM_SOCKETS]`: so many UDP sockets on each port of the server block, over which the kernel spreads
 * clients; each gets a thread of the hot path of its own. Without a number, one for each processor.
 */
export const setup: Setup = (directive) => {
  const [text] = args(directive, "multisocket [NUM_SOCKETS]", 0, 1);
  noBlock(directive);
  const sockets =
    text === undefined ? availableParallelism() : integer(text, directive.at, "number of sockets", 1, maxSockets);
  return { name: "multisocket", sockets: Math.min(sockets, maxSockets) };
};
