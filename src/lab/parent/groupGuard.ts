import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** The guard's own folder in the group that it removes. */
export const GUARD = "podwire-guard";

/** It is started anew when it ends; not for ever, where something ends it each time. */
const MOST_STARTS = 10;

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
  case $* in "$group/${GUARD}/" | "$group/*/")
    for name in cpu memory pids; do echo "-$name" >"$group/cgroup.subtree_control"; done
    [ -z "$undo" ] || echo "$undo" >"$parent/cgroup.subtree_control"
    echo $$ >"$parent/cgroup.procs"
    rmdir "$group/${GUARD}"
    rmdir "$group" ;;
  esac
  left=$((left - 1))
  sleep 0.02
done 2>/dev/null
`;

/**
 * A process beside the cluster that removes its control group, and so takes off the programs that are attached to it,
 * when the cluster's first process is killed: all else of a cluster ends with its processes, but a control group stays.
 */
export class GroupGuard {
  readonly #folder: string;
  readonly #parent: string;
  #child: ChildProcess;
  #undo = "";
  /** What it is in, once it has a group. */
  #settled = false;
  #starts = 1;
  #dismissed = false;

  /** Starts it. @param folder the group, which need not be there yet @param parent its parent */
  constructor(folder: string, parent: string) {
    this.#folder = folder;
    this.#parent = parent;
    this.#child = this.#start();
  }

  #start(): ChildProcess {
    // In a session of its own: what a terminal sends to the cluster is not for it.
    const child = spawn("/bin/sh", ["-c", SCRIPT, "sh", this.#folder, this.#parent], {
      stdio: ["pipe", "ignore", "ignore"],
      cwd: "/",
      env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
      detached: true,
    });
    // Without it a kill leaves an empty group, which the next start removes.
    child.on("error", () => undefined);
    child.stdin?.on("error", () => undefined);
    child.once("exit", () => this.#again());
    child.unref();
    return child;
  }

  /** Somebody ended it. */
  #again(): void {
    if (this.#dismissed || this.#starts++ >= MOST_STARTS) return;
    this.#child = this.#start();
    this.#tell();
    if (this.#settled) this.#join();
  }

  /** Brings it into its own group, which has to be there. */
  settle(): void {
    this.#settled = true;
    this.#join();
  }

  #join(): void {
    const { pid } = this.#child;
    try {
      if (pid !== undefined) writeFileSync(join(this.#folder, GUARD, "cgroup.procs"), String(pid), { flag: "r+" });
    } catch {
      // It has ended, or the group is being removed.
    }
  }

  /** Notes what has to be disabled in the parent group at last. @param names of controllers */
  note(names: readonly string[]): void {
    this.#undo = names.map((name) => `-${name}`).join(" ");
    this.#tell();
  }

  #tell(): void {
    if (this.#undo !== "") this.#child.stdin?.write(`${this.#undo}\n`);
  }

  /** Ends it: the group is somebody else's to remove. */
  async dismiss(): Promise<void> {
    this.#dismissed = true;
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    child.ref();
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }
}
