import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KubeletMachine } from "../support/kubeletMachine.ts";
import { toolbox } from "../support/kubeletPods.ts";

const machine = new KubeletMachine("48m");
beforeAll(() => machine.start());
afterAll(() => machine.stop());

const TALKS = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.05; done";
const FILLS = "while :; do dd if=/dev/zero bs=4k >> /fill; sleep 0.1; done";
const lines = async (pod: string) =>
  (await machine.get(`/containerLogs/default/${pod}/c`)).body.trim().split("\n").filter(Boolean);

describe("a container that fills the memory of all roots", () => {
  it("takes neither the agent nor its neighbours with it, and all is well when it has gone", async () => {
    for (const name of ["goer", "stayer"]) await machine.run(name, toolbox(TALKS));
    await machine.run("filler", toolbox(FILLS));
    const isFull = () => machine.shell("df --output=avail /run/podwire | tail -1").trim() === "0";
    await machine.until("a full disk", async () => isFull());
    const agent = machine.shell("cat /run/test/ready");
    await machine.delete("goer", 1);
    // What that has given back is taken too.
    await machine.until("a full disk again", async () => isFull());
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
