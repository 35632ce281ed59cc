import { describe, expect, it } from "vitest";
import { eventually } from "#test/support/firstLight.ts";
import { NS, playground } from "#test/support/playground.ts";

const { k, suite } = playground();
const words = (...args: readonly string[]) => suite.kubectl.okWords([args[0] ?? "", "-n", NS, ...args.slice(1)]);

describe("U02 kubectl debug (part: on a cluster)", () => {
  it("a container beside a pod's own, with the processes of its target", async () => {
    await k(`run web-1 -n ${NS} --image=nginx:1.26`);
    await k(`wait --for=condition=Ready pod/web-1 -n ${NS} --timeout=60s`);
    const script =
      "cat /proc/1/comm; ls /proc/1/root/etc/nginx/nginx.conf; grep -c nginx /proc/*/comm | grep -c :1; ip -4 -o addr show eth0";
    await words(
      "debug",
      "web-1",
      "--image=busybox:1.36",
      "--target=web-1",
      "--container=look",
      "--",
      "sh",
      "-c",
      script,
    );
    const address = await k(`get pod web-1 -n ${NS} -o jsonpath={.status.podIP}`);
    await eventually(async () =>
      expect(await k(`logs web-1 -n ${NS} -c look`)).toMatch(
        new RegExp(`^nginx\\n/proc/1/root/etc/nginx/nginx.conf\\n[2-9]\\n.*inet ${address}/`),
      ),
    );
    expect(await k(`get pod web-1 -n ${NS}`)).toMatch(/^web-1 +1\/1 +Running +0 /m);
    expect(await k(`describe pod web-1 -n ${NS}`)).toMatch(
      /^Ephemeral Containers:\n {2}look:\n(?:.*\n)* {4}State: +Terminated\n {6}Reason: +Completed/m,
    );
  });

  it("a copy of a pod whose containers see one another's processes", async () => {
    const options = ["--image=busybox:1.36", "--copy-to=box-copy", "--share-processes", "--container=look"];
    await words("debug", "box", ...options, "--", "sleep", "5554");
    await k(`wait --for=condition=Ready pod/box-copy -n ${NS} --timeout=60s`);
    const seen = (await words("exec", "box-copy", "-c", "box", "--", "ps", "-e", "-o", "args=")).split("\n");
    expect(seen).toEqual(expect.arrayContaining(["/pause", "sleep infinity", "sleep 5554"]));
    await k(`delete pod box-copy -n ${NS} --now`);
  });

  it("a pod in the namespaces of a node, with its files", async () => {
    const script =
      "chroot /host cat /etc/kubernetes/kubelet.conf | grep -c server: ; hostname; ps -e -o args= | grep -c kubelet";
    const made = await words("debug", "node/node02", "--image=busybox:1.36", "--", "sh", "-c", script);
    const pod = /Creating debugging pod (\S+) with container debugger on node node02\./.exec(made)?.[1];
    await eventually(async () => expect(await k(`logs ${pod} -n ${NS}`)).toMatch(/^1\nnode02\n[1-9]\d*\n$/));
    expect(await k(`get pod ${pod} -n ${NS} -o jsonpath={.status.hostIP}={.status.podIP}`)).toBe(
      "192.168.1.12=192.168.1.12",
    );
  });
});

describe("U02 a pod at any time of its life (part: what kubectl says)", () => {
  it("that no node has", async () => {
    await words(
      "run",
      "unbound",
      "--image=busybox:1.36",
      '--overrides={"spec":{"nodeSelector":{"no":"where"}}}',
      "--",
      "sleep",
      "9",
    );
    expect(await suite.kubectl.fails(`exec unbound -n ${NS} -- true`)).toContain(
      "pod unbound does not have a host assigned",
    );
    expect(await suite.kubectl.fails(`port-forward unbound -n ${NS} 1:2`)).toContain(
      "error: unable to forward port because pod is not running. Current status=Pending",
    );
  });

  it("whose init containers run", async () => {
    const init = { name: "first", image: "busybox:1.36", command: ["sh", "-c", "echo going; sleep 600"] };
    const overrides = JSON.stringify({ spec: { initContainers: [init] } });
    await words("run", "initial", "--image=busybox:1.36", `--overrides=${overrides}`, "--", "sleep", "9");
    await eventually(async () => expect(await k(`logs initial -n ${NS} -c first`)).toBe("going\n"));
    expect(await k(`get pod initial -n ${NS}`)).toMatch(/^initial +0\/1 +Init:0\/1 +0 /m);
    expect(await suite.kubectl.fails(`logs initial -n ${NS}`)).toContain(
      'Error from server (BadRequest): container "initial" in pod "initial" is waiting to start: PodInitializing',
    );
    expect(await suite.kubectl.fails(`exec initial -n ${NS} -- true`)).toContain(
      'error: Internal error occurred: unable to upgrade connection: container not found ("initial")',
    );
    expect(await k(`exec initial -n ${NS} -c first -- echo inside`)).toBe("inside\n");
    await k(`delete pod initial unbound -n ${NS} --now`);
  });

  it("whose command is not there", async () => {
    await k(`run nope -n ${NS} --image=busybox:1.36 -- nope`);
    await eventually(async () =>
      expect(await k(`get pod nope -n ${NS}`)).toMatch(/^nope +0\/1 +(RunContainerError|CrashLoopBackOff) +1 /m),
    );
    const described = await k(`describe pod nope -n ${NS}`);
    expect(described).toMatch(
      /^ {4}Last State: +Terminated\n {6}Reason: +StartError\n {6}Message: +failed to create containerd task: .*exec: "nope": executable file not found in \$PATH: unknown\n {6}Exit Code: +128\n {6}Started: +Thu, 01 Jan 1970 00:00:00 \+0000$/m,
    );
    await k(`delete pod nope -n ${NS} --now`);
  });

  it("that has another image now", async () => {
    await k(`set image pod/web-1 web-1=nginx:1.27 -n ${NS}`);
    await eventually(async () => expect(await k(`get pod web-1 -n ${NS}`)).toMatch(/^web-1 +1\/1 +Running +1 /m));
    expect(await k(`get pod web-1 -n ${NS} -o jsonpath={.status.containerStatuses[0].image}`)).toBe("nginx:1.27");
    await eventually(async () =>
      expect(await k(`events -n ${NS} --for pod/web-1`)).toContain(
        "Container web-1 definition changed, will be restarted",
      ),
    );
  });
});
