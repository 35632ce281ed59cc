import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resources } from "#api/index.ts";
import { KubeletMachine } from "../support/kubeletMachine.ts";
import { toolbox } from "../support/kubeletPods.ts";
import { startFailure } from "../support/runtimes.ts";

const machine = new KubeletMachine();
beforeAll(() => machine.start());
afterAll(() => machine.stop());

const NOT_FOUND = startFailure("a program that is not there");

describe("a container that cannot be started (part: upstream's reasons and words)", () => {
  const waiting = async (pod: string, reason: string) => {
    await machine.until(
      `${reason} of ${pod}`,
      async () => (await machine.container(pod))?.state?.waiting?.reason === reason,
    );
    return machine.container(pod);
  };

  it("for its command: RunContainerError, then CrashLoopBackOff; StartError with 128 behind it", async () => {
    await machine.create("nope", { containers: [{ name: "c", image: "podwire/toolbox", command: ["nope"] }] });
    const failed = { exitCode: 128, reason: "StartError", message: NOT_FOUND, startedAt: "1970-01-01T00:00:00Z" };
    expect(await waiting("nope", "RunContainerError")).toMatchObject({
      ready: false,
      started: false,
      state: { waiting: { message: NOT_FOUND } },
      lastState: { terminated: failed },
    });
    const status = await waiting("nope", "CrashLoopBackOff");
    expect(status).toMatchObject({ restartCount: 1, lastState: { terminated: failed } });
    expect(status?.state?.waiting?.message).toMatch(/^back-off 10s restarting failed container=c pod=nope_default\(/);
    expect((await machine.pod("nope"))?.status?.phase).toBe("Running");
    await expect
      .poll(() => machine.events("nope"))
      .toEqual(
        expect.arrayContaining([
          "Created: Container created",
          `Failed: Error: ${NOT_FOUND}`,
          expect.stringMatching(/^BackOff: Back-off restarting failed container c in pod nope_default\(/),
        ]),
      );
    await machine.delete("nope", 1);
  });

  it("for good where nothing is restarted", async () => {
    const containers = [{ name: "c", image: "podwire/toolbox", command: ["/etc"] }];
    const { status } = await machine.run("folder", { restartPolicy: "Never", containers }, "Failed");
    expect(status?.containerStatuses?.[0]?.state?.terminated).toMatchObject({
      exitCode: 128,
      reason: "StartError",
      message: startFailure("a program that is a folder"),
    });
    await machine.delete("folder", 1);
  });

  it.each([
    [
      "never",
      "nowhere/thing:1",
      "ErrImageNeverPull",
      'Container image "nowhere/thing:1" is not present with pull policy of Never',
      "ErrImageNeverPull",
    ],
    [
      "upper",
      "UPPER",
      "InvalidImageName",
      'Failed to apply default image tag "UPPER": couldn\'t parse image name "UPPER": invalid reference format: repository name (library/UPPER) must be lowercase',
      "InspectFailed",
    ],
  ])("%s: for its image %s: %s", async (name, image, reason, message, event) => {
    await machine.create(name, { containers: [{ name: "c", image, imagePullPolicy: "Never" }] });
    expect(await waiting(name, reason)).toMatchObject({ image, restartCount: 0, state: { waiting: { message } } });
    await expect
      .poll(() => machine.events(name))
      .toEqual(expect.arrayContaining([`${event}: ${message}`, `Failed: Error: ${reason}`]));
    expect(machine.events(name).join()).not.toContain("BackOff");
    await machine.delete(name, 1);
  });
});

describe("a new image of a running pod", () => {
  const image = (pod: string, name: string) =>
    machine.client.patch(
      resources.pods,
      pod,
      "default",
      {
        spec: {
          containers: [{ name: "c", image: name, command: ["sh", "-c", "trap 'exit 3' TERM; sleep 88 & wait"] }],
        },
      },
      { type: "merge" },
    );

  it.each(["Always", "Never"] as const)(
    "ends the container and runs the new one (restartPolicy %s)",
    async (policy) => {
      const pod = `image-${policy.toLowerCase()}`;
      await machine.run(pod, { restartPolicy: policy, ...toolbox("trap 'exit 3' TERM; echo up; sleep 77 & wait") });
      await machine.until(
        "the trap",
        async () => (await machine.get(`/containerLogs/default/${pod}/c`)).body === "up\n",
      );
      await image(pod, "busybox:1.36");
      await machine.until(
        "the new image",
        async () =>
          (await machine.container(pod))?.state?.running !== undefined &&
          (await machine.container(pod))?.restartCount === 1,
      );
      const status = await machine.container(pod);
      expect(status).toMatchObject({ image: "busybox:1.36", lastState: { terminated: { exitCode: 3 } } });
      expect(status?.imageID).toContain("busybox");
      await expect
        .poll(() => machine.events(pod))
        .toContain("Killing: Container c definition changed, will be restarted");
      expect(machine.shell("ps ax")).not.toContain("sleep 77");
      await machine.delete(pod, 1);
    },
  );

  it("is tried at once after one that could not be had", async () => {
    await machine.create("mended", { containers: [{ name: "c", image: "nowhere/thing:1" }] });
    await machine.until(
      "the failure",
      async () => (await machine.container("mended"))?.state?.waiting?.reason === "ErrImagePull",
    );
    await image("mended", "podwire/toolbox");
    await machine.until("it to run", async () => (await machine.container("mended"))?.ready === true);
    expect((await machine.container("mended"))?.restartCount).toBe(0);
    await machine.delete("mended", 1);
  });
});

describe("hooks of containers", () => {
  const hooked = (lifecycle: object, command = "trap 'exit 0' TERM; sleep 66 & wait") => ({
    containers: [{ name: "c", image: "podwire/toolbox", command: ["sh", "-c", command], lifecycle }],
  });

  it("postStart: the container counts as being created until it has ended", async () => {
    await machine.create(
      "slow",
      hooked({ postStart: { exec: { command: ["sh", "-c", "until [ -e /tmp/go ]; do sleep 0.05; done"] } } }),
    );
    await machine.until("the hook", async () => machine.shell("ps ax").includes("until [ -e /tmp/go ]"));
    await machine.until(
      "its status",
      async () => (await machine.container("slow"))?.state?.waiting?.reason === "ContainerCreating",
    );
    expect((await machine.pod("slow"))?.status?.phase).toBe("Pending");
    await machine.exec("slow", "touch /tmp/go");
    await machine.until("it to run", async () => (await machine.container("slow"))?.ready === true);
    await machine.delete("slow", 1);
  });

  it("postStart that fails: the cause is in the status, the container is ended and started again", async () => {
    await machine.create(
      "failing",
      hooked({ postStart: { exec: { command: ["sh", "-c", "echo no; echo why >&2; exit 9"] } } }),
    );
    await machine.until(
      "the failure",
      async () => (await machine.container("failing"))?.state?.waiting?.reason === "PostStartHookError",
    );
    const status = await machine.container("failing");
    expect(status?.state?.waiting?.message).toMatch(
      /^Exec lifecycle hook \(\[sh -c echo no; echo why >&2; exit 9\]\) for Container "c" in Pod "failing_default\([^)]+\)" failed - error: command 'sh -c echo no; echo why >&2; exit 9' exited with 9: no\nwhy, message: "no\\nwhy"$/,
    );
    await machine.until(
      "the back-off",
      async () => (await machine.container("failing"))?.state?.waiting?.reason === "CrashLoopBackOff",
    );
    await expect
      .poll(() => machine.events("failing"))
      .toEqual(expect.arrayContaining(["FailedPostStartHook: PostStartHook failed", "Killing: FailedPostStartHook"]));
    await machine.delete("failing", 1);
  });

  it("preStop that fails: an event says so, the container ends all the same", async () => {
    await machine.run("leaving", hooked({ preStop: { exec: { command: ["false"] } } }));
    await machine.delete("leaving");
    await expect.poll(() => machine.events("leaving")).toContain("FailedPreStopHook: PreStopHook failed");
  });
});
