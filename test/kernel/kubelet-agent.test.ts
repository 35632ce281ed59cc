import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resources } from "#api/index.ts";
import { KubeletMachine } from "../support/kubeletMachine.ts";
import { toolbox } from "../support/kubeletPods.ts";

const machine = new KubeletMachine();
beforeAll(() => machine.start());
afterAll(() => machine.stop());

describe("/healthz of the node agent", () => {
  const health = async () => {
    const { status, body } = await machine.get("/healthz");
    return `${status} ${body}`;
  };

  it("says what is wrong for as long as it is", async () => {
    await expect.poll(health).toBe("200 ok");
    machine.shell("mkdir /run/test/aside && mv /run/test/net.d/* /run/test/aside/");
    await expect.poll(health).toBe("500 Network plugin returns error: cni plugin not initialized");
    machine.shell("mv /run/test/aside/* /run/test/net.d/");
    await expect.poll(health).toBe("200 ok");
  });
});

describe("podwire/echo", () => {
  it("answers in its pod's name, as soon as it is ready", async () => {
    const readinessProbe = { httpGet: { path: "/", port: 8282 } };
    const pod = await machine.run("shop", {
      containers: [
        { name: "c", image: "podwire/echo", args: ["--port=8282", "--body=wear", "--only=/"], readinessProbe },
      ],
    });
    const url = `http://${pod.status?.podIP}:8282`;
    expect(machine.shell(`curl -s -D - ${url}/`)).toMatch(/200 OK[\s\S]*x-pod: shop[\s\S]*\r\n\r\nwear\n$/);
    expect(machine.shell(`curl -s -o /dev/null -w '%{http_code}' ${url}/wear`)).toBe("404");
  });

  it("says in its log why it does not start", async () => {
    const containers = [{ name: "c", image: "podwire/echo", args: ["--prot=1"] }];
    await machine.client.create(resources.pods, {
      metadata: { name: "wrong", namespace: "default" },
      spec: { nodeName: "node01", containers },
    });
    await machine.until(
      "a crash",
      async () => ((await machine.pod("wrong"))?.status?.containerStatuses?.[0]?.restartCount ?? 0) > 0,
    );
    expect((await machine.get("/containerLogs/default/wrong/c?previous=true")).body).toContain(
      'unknown argument "--prot=1"',
    );
    await machine.delete("wrong");
  });
});

describe("a killed agent", () => {
  it("finds its pods as they were: nothing restarts, servers answer, no line of a log is lost", async () => {
    // Its environment is not what the spec says.
    const count = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.01; done";
    const pod = await machine.run("counter", toolbox(`exec env -i sh -c '${count}'`));
    const before = pod.status?.containerStatuses?.[0]?.containerID;
    const shop = (await machine.pod("shop"))?.status?.podIP;
    for (let i = 0; i < 3; i++) {
      await machine.killAgent();
      expect(machine.shell(`curl -s http://${shop}:8282/`)).toBe("wear\n");
      await machine.startAgent();
    }
    const status = (await machine.pod("counter"))?.status?.containerStatuses?.[0];
    expect(status).toMatchObject({ restartCount: 0, ready: true, containerID: before });
    let lines: number[] = [];
    await machine.until("fifty lines", async () => {
      lines = (await machine.get("/containerLogs/default/counter/c")).body.trim().split("\n").map(Number);
      return lines.length > 50;
    });
    expect(lines).toEqual(lines.map((_, i) => i));
    expect(machine.shell(`curl -s http://${shop}:8282/`)).toBe("wear\n");
    expect((await machine.exec("counter", "env | grep ^HOSTNAME=")).stdout).toBe("HOSTNAME=counter\n");
  });

  it("loses and repeats no line where full logs are put aside", async () => {
    await machine.run("loud", toolbox("seq 1 400000; exec sleep 123457"));
    const words = `cd /run/test/pods/default_loud_*/c && ls | grep -c '^0.log.[0-9]*-[0-9]*$' && cat $(ls -d 0.log.*) 0.log |
      awk '{ printf "%s%s", $4, $3 == "F" ? "\\n" : "" }' | awk '$1 != NR { bad++ } END { print NR, bad + 0 }'`;
    for (let i = 0; i < 2; i++) {
      await machine.killAgent();
      await machine.startAgent();
    }
    await machine.until("all lines, in two files or more", async () =>
      /^[1-4]\n400000 0\n$/.test(machine.shell(`${words} || true`)),
    );
  });

  it("ends a pod that was deleted meanwhile", async () => {
    await machine.run("orphan", { ...toolbox("exec sleep 123456"), terminationGracePeriodSeconds: 1 });
    await machine.killAgent();
    await machine.client.delete(resources.pods, "orphan", "default");
    await machine.startAgent();
    await machine.until("its end", async () => !machine.shell("ps ax").includes("sleep 123456"));
    await machine.until("its end in the API", async () => (await machine.pod("orphan")) === undefined);
  });
});

describe("N01 the end of pods (part: nothing is left on the node)", () => {
  it("leaves no process, namespace, address, file", async () => {
    for (const pod of machine.api.all("/api/v1/pods")) await machine.delete(pod.metadata.name, 1);
    await machine.until("no namespaces", async () => machine.list("/run/netns").length === 0);
    for (const folder of [
      "/run/podwire/containers",
      "/run/podwire/pods",
      "/run/test/pods",
      "/run/test/containers",
      "/var/lib/kubelet/pods",
      "/var/lib/cni/results",
    ])
      await expect.poll(() => machine.list(folder), { message: folder }).toEqual([]);
    expect(machine.list("/var/lib/cni/networks/cbr0").filter((n) => n.startsWith("10."))).toEqual([]);
    const ours = /^(tini -- sleep 999999|sleep 999999|sh -c ps|ps -e|podwire-echo |\S*node .*kubeletAgent)/;
    const processes = () => machine.shell("ps -e -o args=").trim().split("\n");
    await expect.poll(() => processes().filter((p) => !ours.test(p))).toEqual([]);
  });
});
