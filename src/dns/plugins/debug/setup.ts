import type { Setup } from "../../core/index.ts";
import { args, noBlock } from "../../corefile/index.ts";

/** `debug`: writes the debug messages of all plugins; the configuration looks for it before any plugin is set up. */
export const setup: Setup = (directive) => {
  args(directive, "debug", 0);
  noBlock(directive);
  return { name: "debug" };
};
