import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resources } from "#api/index.ts";
import { KubeletMachine } from "../support/kubeletMachine.ts";
import { toolbox } from "../support/kubeletPods.ts";

const machine = new KubeletMachine();
beforeAll(() => machine.start());
afterAll(() => machine.stop());

describe("containers over their lives", () => {
  it("restart after a crash, wait before the next time, keep the log of the run before", async () => {
    await machine.client.create(resources.pods, {
      metadata: { name: "crash", namespace: "default" },
      spec: { nodeName: "node01", ...toolbox("echo boom; exit 3") },
    });
    await machine.until("back-off", async () => {
      const status = (await machine.pod("crash"))?.status?.containerStatuses?.[0];
      return status?.state?.waiting?.reason === "CrashLoopBackOff";
    });
    const status = (await machine.pod("crash"))?.status?.containerStatuses?.[0];
    expect(status).toMatchObject({ restartCount: 1, lastState: { terminated: { exitCode: 3, reason: "Error" } } });
    expect(status?.state?.waiting?.message).toMatch(/^back-off 10s restarting failed container=c pod=crash_default\(/);
    expect((await machine.get("/containerLogs/default/crash/c?previous=true")).body).toBe("boom\n");
    await machine.delete("crash");
  });

  it("end with the pod's phase, and give the network back", async () => {
    const before = machine.list("/run/netns").length;
    const pod = await machine.run("job", { restartPolicy: "Never", ...toolbox("echo done") }, "Succeeded");
    expect(pod.status?.containerStatuses?.[0]?.state?.terminated).toMatchObject({ exitCode: 0, reason: "Completed" });
    expect((await machine.get("/containerLogs/default/job/c")).body).toBe("done\n");
    await machine.until("its namespace's end", async () => machine.list("/run/netns").length <= before);
    await machine.delete("job");
  });

  /** Waits until the shell has set its trap: a pod without a probe is ready before that. */
  const up = (pod: string) =>
    machine.until(`${pod}'s trap`, async () =>
      (await machine.get(`/containerLogs/default/${pod}/c`)).body.includes("up"),
    );

  it("get SIGTERM, then SIGKILL after the grace period", async () => {
    await machine.run("polite", toolbox("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done"));
    await up("polite");
    const started = Date.now();
    await machine.delete("polite");
    // Long before the 30 s of grace are over.
    expect(Date.now() - started).toBeLessThan(20_000);
    await machine.run("stubborn", toolbox("trap '' TERM; echo up; while :; do sleep 0.05; done"));
    await up("stubborn");
    const again = Date.now();
    await machine.delete("stubborn", 1);
    expect(Date.now() - again).toBeGreaterThan(900);
  });

  it("are told why an image is not there", async () => {
    await machine.client.create(resources.pods, {
      metadata: { name: "noimage", namespace: "default" },
      spec: { nodeName: "node01", containers: [{ name: "c", image: "nowhere/thing:1" }] },
    });
    await machine.until(
      "ErrImagePull",
      async () =>
        (await machine.pod("noimage"))?.status?.containerStatuses?.[0]?.state?.waiting?.reason === "ErrImagePull",
    );
    await expect
      .poll(() => machine.events("noimage").join("\n"))
      .toContain("no template has this name (templates: podwire/toolbox");
    await machine.delete("noimage");
  });
});
