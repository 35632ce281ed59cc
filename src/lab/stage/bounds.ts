import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { PodwireError } from "#base/errors.ts";
import type { IdMap, IdPlan } from "./maps.ts";

/**
 * Runs in the outer user namespace. A container may show /proc/sys read-only; no control groups are delegated there.
 * Argument: the setting's file. Input, a line each: the pid whose maps to write, its uids, its gids.
 */
const SCRIPT = `(echo 0 >"$1") 2>/dev/null || :
echo
read -r pid && read -r uids && read -r gids || exit 125
printf "$uids" >"/proc/$pid/uid_map" && printf "$gids" >"/proc/$pid/gid_map"
`;

/**
 * Bounds of an ordinary user's lab. Inside of it root is that user to the kernel, to whom systemd hands the control
 * groups of the own session: whoever could mount them there could end all of that session with one write to
 * cgroup.kill. Only a namespace of control groups that belongs to the lab lets it mount them, so the outer user
 * namespace, of which nobody in the lab is root, allows no new ones (namespaces(7), /proc/sys/user).
 */
export class Bounds {
  readonly #helper: ChildProcess;
  readonly #pid: number;
  /** Settles with the helper's end. */
  readonly #ended: Promise<void>;

  private constructor(helper: ChildProcess, pid: number) {
    this.#helper = helper;
    this.#pid = pid;
    let words = "";
    helper.stderr?.on("data", (data: Buffer) => {
      words += data.toString();
    });
    // One that has ended says so by its exit code.
    helper.stdin?.on("error", () => undefined);
    this.#ended = new Promise((resolve, reject) => {
      helper.once("error", (error) => reject(refused(error.message)));
      helper.once("close", (code) => (code === 0 ? resolve() : reject(refused(words.trim() || `exit ${code}`))));
    });
    this.#ended.catch(() => undefined);
  }

  /**
   * Sets the bounds of a user namespace.
   * @param pid of the process in it, as this process sees it; it goes on to make the inner one
   * @throws PodwireError "BoundsRefused"
   */
  static async set(pid: number): Promise<Bounds> {
    const nsenter = ["--target", String(pid), "--user", "--preserve-credentials", "--"];
    const script = ["/bin/sh", "-c", SCRIPT, "sh", "/proc/sys/user/max_cgroup_namespaces"];
    const helper = spawn("nsenter", [...nsenter, ...script], { stdio: ["pipe", "pipe", "pipe"], cwd: "/" });
    const bounds = new Bounds(helper, pid);
    await Promise.race([once(helper.stdout, "data"), bounds.#ended]);
    return bounds;
  }

  /** Gives the inner user namespace the ids of the outer one. Only a process of the outer one may. @throws PodwireError */
  async mapInner(plan: IdPlan): Promise<void> {
    this.#helper.stdin?.end(`${this.#pid}\n${identity(plan.uid)}\n${identity(plan.gid)}\n`);
    await this.#ended;
  }
}

/** Every id to itself. A line may not span two lines of the outer map; the whole has to be written at once. */
const identity = (map: IdMap): string => map.map(([id, , count]) => `${id} ${id} ${count}`).join("\\n");

function refused(why: string): PodwireError {
  return new PodwireError(
    "BoundsRefused",
    `could not set the bounds of the lab's user namespace (${why}); run: podwire doctor`,
  );
}
