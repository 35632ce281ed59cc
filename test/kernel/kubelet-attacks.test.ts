import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Pod, resources } from "#api/index.ts";
import { KubeletMachine } from "../support/kubeletMachine.ts";
import { toolbox } from "../support/kubeletPods.ts";

const machine = new KubeletMachine();
beforeAll(() => machine.start());
afterAll(() => machine.stop());

/** Capabilities of a container that asks for none (Docker's default), as /proc/PID/status shows them. */
const DEFAULT_CAPABILITIES = "00000000a80425fb";
const FOREVER = "exec sleep 100000";

/** A container that mounts the volume `e`. */
const withVolume = (name: string, mount: object, command = FOREVER) => ({
  name,
  image: "podwire/toolbox",
  command: ["sh", "-c", command],
  volumeMounts: [{ name: "e", mountPath: "/e", ...mount }],
});
const emptyDir: NonNullable<Pod["spec"]["volumes"]> = [{ name: "e", emptyDir: {} }];
const waiting = async (pod: string) => (await machine.container(pod))?.state?.waiting;

describe("what a container does cannot reach its node", () => {
  it.each([false, true])(
    "a command in it has no more rights, whatever it has mounted over /proc (tty: %s)",
    async (tty) => {
      const name = `proc-${tty}`;
      // What starts a command finds itself below /proc/self/fd: here is something else of every such name.
      const trap = `mkdir -p /tmp/p/self/fd /tmp/p/thread-self/fd; printf '#!/bin/sh\\necho caught > /tmp/caught\\n' > /tmp/p/run
      chmod 755 /tmp/p/run; for n in $(seq 3 30); do ln /tmp/p/run /tmp/p/self/fd/$n; ln /tmp/p/run /tmp/p/thread-self/fd/$n; done`;
      const inside = `mount --bind /tmp/p /proc && touch /tmp/ready && ${FOREVER}`;
      await machine.run(name, toolbox(`${trap}; exec unshare --user --map-root-user --mount sh -c '${inside}'`));
      const run = (script: string) => machine.exec(name, script, { tty });
      await machine.until("the trap", async () => (await run("test -e /tmp/ready")).code === 0);
      expect((await run("test -e /tmp/caught || echo free")).stdout.trim()).toBe("free");
      const rights = await run("umount /proc; grep CapEff /proc/self/status");
      expect(rights.stdout.trim()).toBe(`CapEff:\t${DEFAULT_CAPABILITIES}`);
      await machine.delete(name, 0);
    },
  );

  it("a part of a volume that a link leads out of is refused, and nothing is made outside", async () => {
    const initContainers = [withVolume("links", {}, "ln -s /run/test /e/out; ln -s ../../../../.. /e/up")];
    for (const subPath of ["out", "out/made", "up"]) {
      const pod = `part-${subPath.replace("/", "-")}`;
      await machine.create(pod, { initContainers, containers: [withVolume("c", { subPath })], volumes: emptyDir });
      await machine.until("a refusal", async () => (await waiting(pod))?.reason === "CreateContainerConfigError");
      expect((await waiting(pod))?.message).toBe(
        `failed to prepare subPath for volumeMount "e" of container "c": "${subPath}" leads out of the volume`,
      );
      await machine.delete(pod, 0);
    }
    expect(machine.list("/run/test")).not.toContain("made");
  });

  it("links inside of a volume are followed", async () => {
    const initContainers = [withVolume("links", {}, "mkdir -p /e/a/b; ln -s a /e/l; echo x > /e/a/b/f")];
    const containers = [withVolume("c", { subPath: "l/b/../b" })];
    await machine.create("part-inside", { initContainers, containers, volumes: emptyDir });
    await machine.until("it to run", async () => (await machine.container("part-inside"))?.ready ?? false);
    expect((await machine.exec("part-inside", "cat /e/f")).stdout).toBe("x\n");
    await machine.delete("part-inside", 0);
  });

  it("what the node writes into volumes is read-only in containers", async () => {
    const data = { metadata: { name: "given", namespace: "default" }, data: { a: "MQ==" } };
    await machine.client.create(resources.configMaps, data);
    await machine.client.create(resources.secrets, data);
    const volumes: Pod["spec"]["volumes"] = [
      { name: "map", configMap: { name: "given" } },
      { name: "secret", secret: { secretName: "given" } },
      { name: "down", downwardAPI: { items: [{ path: "a", fieldRef: { fieldPath: "metadata.name" } }] } },
      { name: "all", projected: { sources: [{ configMap: { name: "given" } }] } },
    ];
    const volumeMounts = volumes.map(({ name }) => ({ name, mountPath: `/${name}`, readOnly: false }));
    await machine.run("given", { containers: [{ name: "c", image: "podwire/toolbox", volumeMounts }], volumes });
    for (const { name } of volumes)
      expect(
        (await machine.exec("given", `cat /${name}/a > /dev/null && ln -sfn /etc /${name}/..data`)).stderr,
      ).toContain("Read-only file system");
    await machine.delete("given", 0);
  });

  it("its working folder is made inside", async () => {
    const workingDir = "/../../../../../../run/test/cwd";
    await machine.run("cwd", { containers: [{ name: "c", image: "podwire/toolbox", workingDir }] });
    expect((await machine.exec("cwd", "pwd")).stdout).toBe("/run/test/cwd\n");
    expect(machine.list("/run/test")).not.toContain("cwd");
    await machine.delete("cwd", 0);
  });

  it("folders too deep for a path go with the pod", async () => {
    const deep = `perl -e 'for (@ARGV) { chdir $_; for (1 .. 40) { mkdir "x" x 200; chdir "x" x 200 or die } }' /e /dev/shm /srv`;
    await machine.run("deep", {
      containers: [withVolume("c", {}, `${deep} && touch /tmp/done && ${FOREVER}`)],
      volumes: emptyDir,
    });
    await machine.until("folders", async () => (await machine.exec("deep", "test -e /tmp/done")).code === 0);
    expect((await machine.exec("deep", "ls -d /e/x*/x* /dev/shm/x*/x* /srv/x*/x* | wc -l")).stdout.trim()).toBe("3");
    const uid = (await machine.pod("deep"))?.metadata.uid ?? "";
    await machine.delete("deep", 0);
    for (const folder of ["/run/podwire/containers", "/run/podwire/shm", `/var/lib/kubelet/pods/${uid}`])
      expect(machine.list(folder)).toEqual([]);
  });

  it("nothing is mounted in the place of its root", async () => {
    await machine.create("root", { containers: [withVolume("c", { mountPath: "/" })], volumes: emptyDir });
    await machine.until("a refusal", async () => machine.events("root").some((text) => text.startsWith("Failed:")));
    expect((await machine.container("root"))?.ready).toBe(false);
    await machine.delete("root", 0);
  });
});
