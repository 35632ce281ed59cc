import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { removeGroup } from "#kernel/cgroups/index.ts";

let made = 0;

/** The folder of the control groups of version 2 that this process can be in. */
function root(): string {
  const fields = readFileSync("/proc/self/mountinfo", "latin1")
    .split("\n")
    .map((line) => line.split(" "));
  const point = fields.find((words) => words[words.indexOf("-") + 1] === "cgroup2")?.[4];
  if (point === undefined) throw new Error("no control groups of version 2 are mounted");
  return point;
}

/** A control group of a test's own. */
export class TestGroup {
  readonly folder: string;
  readonly #home: string;

  constructor() {
    const path = /^0::(\/.*)$/m.exec(readFileSync("/proc/self/cgroup", "latin1"))?.[1] ?? "/";
    this.#home = join(root(), path);
    this.folder = join(this.#home, `podwire-test-${process.pid}-${++made}`);
    mkdirSync(this.folder);
  }

  /** Does something with this process in the group: sockets that it makes belong to it. Work has to be synchronous. */
  within<T>(work: () => T): T {
    this.#move(this.folder);
    try {
      return work();
    } finally {
      this.#move(this.#home);
    }
  }

  close(): void {
    removeGroup(this.folder);
  }

  #move(folder: string): void {
    writeFileSync(join(folder, "cgroup.procs"), String(process.pid), { flag: "r+" });
  }
}
