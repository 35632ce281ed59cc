/** The text of the wrapper that a node has in /opt/cni/bin for one of Podwire's plugins. */
export function wrapper(type: string): string {
  return `#!/bin/sh\nexec ${process.execPath} ${import.meta.dirname}/../../src/programs/cni/main.ts ${type} "$@"\n`;
}
