import { installation } from "./installation.ts";

/** The text of the wrapper that a node has in /opt/cni/bin for one of Podwire's plugins: the bundle, as on a node. */
export function wrapper(type: string): string {
  const { node, program } = installation();
  return `#!/bin/sh\nexec ${node} ${program}/cni.cjs ${type} "$@"\n`;
}
