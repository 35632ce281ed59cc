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
      const inside = `mkdir /tmp/proc && mount --rbind /proc /tmp/proc && mount --bind /tmp/p /proc && touch /tmp/ready && ${FOREVER}`;
      await machine.run(name, toolbox(`${trap}; exec unshare --user --map-root-user --mount sh -c '${inside}'`));
      const run = (script: string) => machine.exec(name, script, { tty });
      await machine.until("the trap", async () => (await run("test -e /tmp/ready")).code === 0);
      expect((await run("test -e /tmp/caught || echo free")).stdout.trim()).toBe("free");
      const rights = await run("grep CapEff /tmp/proc/self/status");
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

  it("what takes all memory is ended before the node and its programs", async () => {
    await machine.run("greedy", toolbox(`cat /proc/self/oom_score_adj > /tmp/score; ${FOREVER}`));
    // Upstream's kubelet/qos/policy.go: a container that asks for nothing.
    expect((await machine.exec("greedy", "cat /tmp/score /proc/self/oom_score_adj")).stdout).toBe("1000\n1000\n");
    await machine.delete("greedy", 0);
  });

  it("nobody passes for another pod's container before a new agent", async () => {
    await machine.run("victim", toolbox(`echo victim > /tmp/who; ${FOREVER}`));
    const id = (await machine.container("victim"))?.containerID?.replace(/^.*:\/\//, "") ?? "";
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    // A root of the same name as the victim's, in namespaces of its own; it is the first of its processes, too.
    const folders = `/run/podwire/containers/${id}`;
    const forge = `mount -t tmpfs none /run && mkdir -p ${folders}/upper/tmp ${folders}/work ${folders}/root /run/lower/dev
      for d in usr bin lib lib64 proc sys; do [ -e /$d ] && mkdir -p /run/lower/$d; done
      mount -t overlay none -o lowerdir=/run/lower,upperdir=${folders}/upper,workdir=${folders}/work,userxattr ${folders}/root
      for d in usr bin lib lib64 proc; do [ -e /$d ] && mount --rbind /$d ${folders}/root/$d; done
      echo forged > ${folders}/root/tmp/who; touch /tmp/forged; cd ${folders}/root; mkdir -p old; pivot_root . old
      exec chroot . sleep 100000`;
    await machine.run("forger", toolbox(`unshare --user --map-root-user --mount --pid --fork sh -c '${forge}'`));
    await machine.until("the forgery", async () => (await machine.exec("forger", "test -e /tmp/forged")).code === 0);
    const claims = `grep -l "upperdir=${folders}/" /proc/[0-9]*/mountinfo | wc -l`;
    await machine.until("two who claim it", async () => Number(machine.shell(claims)) >= 2);
    await machine.killAgent();
    await machine.startAgent();
    expect((await machine.exec("victim", "cat /tmp/who")).stdout).toBe("victim\n");
    for (const pod of ["victim", "forger"]) await machine.delete(pod, 0);
  });

  it("nothing is mounted in the place of its root", async () => {
    await machine.create("root", { containers: [withVolume("c", { mountPath: "/" })], volumes: emptyDir });
    await machine.until("a refusal", async () => (await waiting("root"))?.reason === "CreateContainerConfigError");
    expect((await waiting("root"))?.message).toBe('volume "e" cannot be mounted in the place of the container\'s root');
    // The image was there before that was found out: upstream tells it so (kuberuntime_container.go, startContainer).
    const reasons = () => machine.events("root").map((text) => text.split(":")[0]);
    await expect.poll(reasons).toEqual(["ImageTemplate", "Pulled", "Failed"]);
    await machine.delete("root", 0);
  });
});
