import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeGroup, removeGroup } from "#kernel/cgroups/index.ts";

/** A control group that this process is alone in, for what counts for the sockets of a group. */
export class OwnGroup {
  readonly folder: string;
  readonly #home: string;

  private constructor(home: string) {
    this.#home = home;
    this.folder = join(home, `podwire-bench-${process.pid}`);
  }

  /** Makes one and moves this process into it. @throws Error where that is not this user's to do */
  static enter(): OwnGroup {
    const path = /^0::(\/.*)$/m.exec(readFileSync("/proc/self/cgroup", "latin1"))?.[1] ?? "/";
    const mount = /^\S+ \S+ \S+ \/ (\S+) .* - cgroup2 /m.exec(readFileSync("/proc/self/mountinfo", "latin1"))?.[1];
    if (mount === undefined) throw new Error("no control groups of version 2 are mounted");
    const group = new OwnGroup(join(mount, path));
    makeGroup(group.folder, {});
    group.#move(group.folder);
    return group;
  }

  /** Moves this process back and removes the group. */
  leave(): void {
    this.#move(this.#home);
    removeGroup(this.folder);
  }

  #move(folder: string): void {
    writeFileSync(join(folder, "cgroup.procs"), String(process.pid), { flag: "r+" });
  }
}
