import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KubeletMachine } from "../support/kubeletMachine.ts";
import { toolbox } from "../support/kubeletPods.ts";

const machine = new KubeletMachine("48m");
beforeAll(() => machine.start());
afterAll(() => machine.stop());

const TALKS = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.05; done";
const lines = async (pod: string) =>
  (await machine.get(`/containerLogs/default/${pod}/c`)).body.trim().split("\n").filter(Boolean);

describe("a container that fills the memory of all roots", () => {
  it("takes neither the agent nor its neighbours with it, and all is well when it has gone", async () => {
    for (const name of ["goer", "stayer"]) await machine.run(name, toolbox(TALKS));
    await machine.run("filler", toolbox("dd if=/dev/zero of=/fill bs=64k; echo full; exec sleep 100000"));
    const isFull = () => machine.shell("df --output=avail /run/podwire | tail -1").trim() === "0";
    await machine.until("a full disk", async () => isFull());
    const agent = machine.shell("cat /run/test/ready");
    // What it cannot keep, the neighbour waits with.
    await machine.until("back-pressure", async () => (await lines("stayer")).length > 0);
    await machine.delete("goer", 1);
    expect(isFull()).toBe(true);
    await machine.delete("filler", 1);
    expect(isFull()).toBe(false);
    const before = (await lines("stayer")).length;
    await machine.until("more lines", async () => (await lines("stayer")).length > before);
    const all = await lines("stayer");
    expect(all).toEqual(all.map((_, i) => `line ${i + 1}`));
    await machine.run("after", toolbox(TALKS));
    for (const name of ["after", "stayer"]) await machine.delete(name, 1);
    expect(machine.shell("cat /run/test/ready; kill -0 $(cat /run/test/ready)")).toBe(agent);
    expect(machine.list("/run/podwire/containers")).toEqual([]);
  });
});
