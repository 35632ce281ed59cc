import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/** The guard's own folder in the group that it removes. */
export const GUARD = "podwire-guard";

/**
 * Waits for the end of its input, which comes with the end of the cluster's first process, however that ends. Then it
 * ends what is left in the group, which is the cluster's own, and removes it. Lines that it reads are what it has to
 * write into the parent's cgroup.subtree_control at last; it is in a leaf of the group, and leaves that before.
 * Arguments: the group, its parent.
 */
const SCRIPT = `group=$1 parent=$2 undo=
while read -r line; do undo=$line; done
for one in "$group"/*/; do
  [ "$one" = "$group/${GUARD}/" ] || echo 1 >"\${one}cgroup.kill"
done 2>/dev/null
left=500
while [ $left -gt 0 ] && [ -d "$group" ]; do
  find "$group" -mindepth 1 -depth -type d ! -name ${GUARD} -delete
  set -- "$group"/*/
  if [ "$*" = "$group/${GUARD}/" ]; then
    for name in cpu memory pids; do echo "-$name" >"$group/cgroup.subtree_control"; done
    [ -z "$undo" ] || echo "$undo" >"$parent/cgroup.subtree_control"
    echo $$ >"$parent/cgroup.procs"
    rmdir "$group/${GUARD}" "$group"
  fi
  left=$((left - 1))
  sleep 0.02
done 2>/dev/null
`;

/**
 * A process beside the cluster that removes its control group, and so takes off the programs that are attached to it,
 * when the cluster's first process is killed: all else of a cluster ends with its processes, but a control group stays.
 */
export class GroupGuard {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** @param folder the group, which need not be there yet @param parent its parent */
  static start(folder: string, parent: string): GroupGuard {
    // In a session of its own: what a terminal sends to the cluster is not for it.
    const child = spawn("/bin/sh", ["-c", SCRIPT, "sh", folder, parent], {
      stdio: ["pipe", "ignore", "ignore"],
      cwd: "/",
      env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
      detached: true,
    });
    // Without it a kill leaves an empty group, which the next start removes.
    child.on("error", () => undefined);
    child.stdin?.on("error", () => undefined);
    child.unref();
    return new GroupGuard(child);
  }

  /** Undefined when it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Notes what has to be disabled in the parent group at last. @param names of controllers */
  note(names: readonly string[]): void {
    if (names.length > 0) this.#child.stdin?.write(`${names.map((name) => `-${name}`).join(" ")}\n`);
  }

  /** Ends it: the group is somebody else's to remove. */
  async dismiss(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null || this.pid === undefined) return;
    this.#child.ref();
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await gone;
  }
}
