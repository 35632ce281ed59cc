import { expect } from "vitest";

/**
 * What starts the containers of a test's machine. The suite of pods (test/kernel/kubelet-*.test.ts) runs on podwire's own
 * runtime; the project `crun` of vitest.config.ts, which is of the long tests, runs the same files on crun.
 */
export const testedRuntime = process.env["PODWIRE_TEST_RUNTIME"] === "crun" ? "crun" : "podwire";

const INIT = "runc create failed: unable to start container process: error during container init: exec:";

/**
 * What the suite expects of one runtime and not of the other: all of it. Both say why a container does not start; the
 * words are the runtime's own, handed on by containerd as they are (its runtime/v2/runc, getLastRuntimeError).
 */
const EXCEPTIONS = {
  "a program that is not there": {
    podwire: `${INIT} "nope": executable file not found in $PATH`,
    crun: "executable file `nope` not found in $PATH: No such file or directory",
  },
  "a program that is a folder": {
    podwire: `${INIT} "/etc": is a directory`,
    // Its versions word it differently.
    crun: /.*executable.*/,
  },
} as const;

/** Matches the message of a container that does not start, with this for a reason, on the runtime under test. */
export function startFailure(exception: keyof typeof EXCEPTIONS): string {
  const why: string | RegExp = EXCEPTIONS[exception][testedRuntime];
  const task = "failed to create containerd task: failed to create shim task: OCI runtime create failed";
  if (typeof why === "string") return `${task}: ${why}: unknown`;
  return expect.stringMatching(new RegExp(`^${task}: ${why.source}: unknown$`)) as string;
}
