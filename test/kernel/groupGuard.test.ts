import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { expect, it } from "vitest";
import { eventually } from "../support/firstLight.ts";
import { groupMount } from "../support/host.ts";
import { ifEbpf } from "./ebpfHarness.ts";

/** Takes a group, says which, and once it reads something begins to release it, which the process in it delays. */
const CLUSTER = `import { once } from "node:events";
import { ClusterGroup } from "./src/lab/parent/clusterGroup.ts";
const group = await ClusterGroup.takePrivileged([{ parent: process.argv[1], isShared: true }]);
console.log(group.folder);
await once(process.stdin, "data");
void group.release();
console.log("releasing");
`;

function start(program: string, args: readonly string[]): ChildProcess {
  return spawn(program, args, { cwd: resolve(import.meta.dirname, "../.."), stdio: ["pipe", "pipe", "inherit"] });
}

it("a privileged cluster that is killed while it ends leaves no control group", ifEbpf(), async () => {
  const inside = start("sleep", ["60"]);
  const cluster = start("scripts/node", ["--input-type=module", "-e", CLUSTER, groupMount() ?? ""]);
  try {
    if (!cluster.stdout) throw new Error("the cluster has no output");
    const said = createInterface(cluster.stdout)[Symbol.asyncIterator]();
    const folder = String((await said.next()).value);
    writeFileSync(join(folder, "lab", "cgroup.procs"), String(inside.pid));
    cluster.stdin?.write("end\n");
    expect((await said.next()).value).toBe("releasing");
    const gone = once(cluster, "exit");
    cluster.kill("SIGKILL");
    await gone;
    await eventually(async () => expect(existsSync(folder)).toBe(false));
  } finally {
    cluster.kill("SIGKILL");
    inside.kill("SIGKILL");
  }
});
