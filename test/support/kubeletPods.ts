import type { Pod } from "#api/index.ts";

/** A pod of one container of the toolbox that runs a shell command. */
export function toolbox(command: string): Pick<Pod["spec"], "containers"> {
  return { containers: [{ name: "c", image: "podwire/toolbox", command: ["sh", "-c", command] }] };
}
