import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Result, TestCluster } from "#test/support/cluster.ts";
import { buildImage, folder, writeLayout } from "#test/support/images/build.ts";
import { shellLayer } from "#test/support/images/shell.ts";
import { makeStaging, type Staging } from "#test/support/staging.ts";
import { inFull, people, type User } from "#test/support/user.ts";

const BOX = "podwire/toolbox";
const WEB = "filed.test/web:1";

/** A web server on port 80 that runs as a user of its own and ends by SIGINT alone. */
const webImage = () =>
  buildImage(
    [{ files: [...shellLayer(), folder("www"), { name: "www/index.html", content: "hello from a container\n" }] }],
    {
      Entrypoint: ["/bin/sh", "-c"],
      Cmd: ["trap 'exit 0' INT; trap '' TERM; httpd -f -p 80 -h /www & while :; do wait; done"],
      Env: ["PATH=/bin", "GREETING=hello"],
      User: "web",
      WorkingDir: "/www",
      StopSignal: "SIGINT",
    },
  );

describe("C03 C04 podwire run", () => {
  people.describe("as %s", ["root", "an ordinary user"], (who) => {
    let staging: Staging;
    let user: User | undefined;
    let cluster: TestCluster;
    beforeAll(async () => {
      staging = makeStaging();
      user = people.user(who);
      const flags = ["--example", "none", "--ingress", "none", "--nodes", "2"];
      cluster = new TestCluster({ staging, flags, ...(user ? { user } : {}) });
      await cluster.ready();
      const layout = join(staging.directory, "layout");
      mkdirSync(layout);
      writeLayout(layout, webImage(), WEB);
      const loaded = await cluster.podwire("images", "load", layout);
      if (loaded.code !== 0) throw new Error(loaded.stderr);
    }, 120_000);
    afterAll(async () => {
      await cluster?.stop();
      user?.remove();
      staging?.remove();
    });

    const run = (...args: string[]): Promise<Result> => cluster.podwire("run", ...args);
    /** Starts a container in the background. @returns its id */
    const detached = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await run("-d", ...args);
      if (code !== 0) throw new Error(stderr);
      return stdout.trim();
    };
    const node = async (script: string): Promise<string> => (await cluster.sh("node01", script)).stdout;
    /** What is left of containers on the node: interfaces, namespaces, rules, files, processes of the proxy. */
    const left = (): Promise<string> =>
      node(`ip -br link | grep ^veth.*docker0; ip -o link show master docker0; ls /run/podwire-run | grep -v lock
        for name in $(ls /run/netns); do case $name in cni-*) ;; *) echo $name ;; esac; done
        iptables-save | grep 172.17.0.[0-9]*/32; ps -eo args | grep ^/usr/bin/docker-proxy`);

    test("a published port answers other machines, the node itself and pods; netstat and iptables show it", async () => {
      await cluster.toolbox("client", "controlplane");
      const id = await detached("-p", "8080:80", "--container-name", "web", WEB);
      expect(id).toMatch(/^[0-9a-f]{64}$/);
      const answer = "hello from a container\n";
      const curl = (address: string) => `curl -sS -m 20 --retry 5 --retry-connrefused http://${address}:8080/`;
      expect((await cluster.sh("controlplane", curl("192.168.1.11"))).stdout).toBe(answer);
      for (const address of ["127.0.0.1", "192.168.1.11", "[::1]"]) expect(await node(curl(address))).toBe(answer);
      expect((await cluster.inPod("client", curl("192.168.1.11"))).stdout).toBe(answer);
      const listening = await node("netstat -nplt");
      expect(listening).toMatch(/^tcp +0 +0 0\.0\.0\.0:8080 +0\.0\.0\.0:\* +LISTEN +\d+\/docker-proxy/m);
      expect(listening).toMatch(/^tcp6 +0 +0 :::8080 +:::\* +LISTEN +\d+\/docker-proxy/m);
      expect(await node("iptables -nvL -t nat")).toMatch(/DNAT .*tcp dpt:8080 to:172\.17\.0\.2:80/);
      expect(await node("ip netns")).toMatch(/^[0-9a-f]{12}\b/m);
      const { stdout } = await cluster.podwire("ps");
      expect(stdout.split("\n")[0]?.split(/ {2,}/)).toEqual([
        ...["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"],
      ]);
      expect(stdout).toMatch(
        new RegExp(`^${id.slice(0, 12)} +${WEB} .* Up .* 0\\.0\\.0\\.0:8080->80/tcp, \\[::\\]:8080->80/tcp +web$`, "m"),
      );
      const taken = await run("-p", "8080:81", WEB);
      expect([taken.code, taken.stderr]).toEqual([
        125,
        "podwire: Bind for 0.0.0.0:8080 failed: port is already allocated (by container web)\n",
      ]);
      expect((await run("--container-name", "web", WEB)).stderr).toContain(
        `Conflict. The container name "/web" is already in use by container "${id}"`,
      );
      // The image's own signal ends it: it ignores SIGTERM, and nobody waits ten seconds and kills it.
      const stopped = await cluster.podwire("stop", "--time", "60", "web");
      expect([stopped.code, stopped.stdout]).toEqual([0, "web\n"]);
      await expect.poll(left).toBe("");
      expect((await cluster.podwire("stop", "web")).stderr).toBe("podwire: No such container: web\n");
    });

    test("bridge, none and host are Docker's networks", async () => {
      const bridge = await run(BOX, "sh", "-c", "ip -br -4 addr; ip route; cat /etc/hosts; hostname");
      const hostname = bridge.stdout.trim().split("\n").at(-1) ?? "";
      expect(bridge.stdout).toMatch(/^eth0@if\d+ +UP +172\.17\.0\.2\/16/m);
      expect(bridge.stdout).toContain("default via 172.17.0.1 dev eth0");
      expect(bridge.stdout).toContain(`172.17.0.2\t${hostname}\n`);
      expect(hostname).toMatch(/^[0-9a-f]{12}$/);
      const none = await run("--network", "none", BOX, "ip", "-br", "-4", "addr");
      expect(none.stdout).toMatch(/^lo +UNKNOWN +127\.0\.0\.1\/8 *\n$/);
      const host = await run("--network", "host", BOX, "sh", "-c", "hostname; ip -br -4 addr show eth0");
      expect(host.stdout).toMatch(/^node01\neth0\S* +UP +192\.168\.1\.11\/24/);
      expect(await node("ip -4 -br addr show docker0")).toMatch(/^docker0 +\S+ +172\.17\.0\.1\/16/);
      const outside = await run(BOX, "ping", "-c1", "-W10", "192.168.1.10");
      expect([outside.code, outside.stderr]).toEqual([0, ""]);
    });

    if (inFull(who))
      test("D01 /etc/hosts of a container is its own, and edits take effect (part: containers of podwire run)", async () => {
        const script = "echo 192.168.1.10 other.test >> /etc/hosts; getent hosts other.test; ping -c1 -W10 other.test";
        const { code, stdout } = await run(BOX, "sh", "-c", script);
        expect(stdout).toMatch(/^192\.168\.1\.10 +other\.test/);
        expect(code).toBe(0);
        expect(await node("grep -c other.test /etc/hosts")).toBe("0\n");
      });

    if (inFull(who))
      test("K04 a node's interface has the name ens3 too, its address and the default route; docker0's state", async () => {
        expect(await node("ip link show ens3")).toMatch(/^\d+: eth0@.*altname ens3/s);
        expect(await node("ip -4 -br addr")).toMatch(/^eth0\S* +UP +192\.168\.1\.11\/24/m);
        expect(await node("ip route show default")).toMatch(/^default via 192\.168\.1\.1 dev eth0/);
        const id = await detached(WEB);
        expect(await node("ip link show docker0")).toContain("<BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500");
        await cluster.podwire("stop", "--time", "60", id);
        // As the notes show it, while no container is on it.
        const state = "<NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 qdisc noqueue state DOWN";
        await expect.poll(() => node("ip link show docker0")).toContain(state);
        expect(await node("ip -4 addr show docker0")).toContain(
          "inet 172.17.0.1/16 brd 172.17.255.255 scope global docker0",
        );
      });

    if (inFull(who))
      test("D01 /etc/hosts of a machine and of a pod: edits take effect at once, over a public name too", async () => {
        const edit = (address: string) =>
          `echo ${address} www.google.com >> /etc/hosts; getent hosts www.google.com; ping -c1 -W10 www.google.com`;
        const shows = (address: string) => [
          expect.stringMatching(new RegExp(`^${address.replaceAll(".", "\\.")} +www\\.google\\.com`)),
          expect.stringContaining(`PING www.google.com (${address})`),
        ];
        await cluster.toolbox("names", "node01");
        const onNode = await cluster.sh("node01", edit("192.168.1.10"));
        const inPod = await cluster.inPod("names", edit("192.168.1.11"));
        for (const [{ code, stdout }, address] of [
          [onNode, "192.168.1.10"],
          [inPod, "192.168.1.11"],
        ] as const)
          expect([code, stdout, stdout]).toEqual([0, ...shows(address)]);
        // Each has its own: nobody else hears of it.
        expect((await cluster.sh("controlplane", "getent hosts www.google.com")).stdout).toBe("");
      });

    if (inFull(who))
      test("--explain says the eight steps on standard error", async () => {
        const { stdout, stderr } = await run("--explain", "-p", "8081:80", BOX, "echo", "done");
        expect(stdout).toBe("done\n");
        expect([...stderr.matchAll(/^# (\d)\. /gm)].map((match) => match[1]).join("")).toBe("12345678");
        expect(stderr).toMatch(/^ip link add veth[0-9a-f]{7} type veth peer name veth[0-9a-f]{7}$/m);
        expect(stderr).toMatch(/^iptables .* -A DOCKER ! -i docker0 .* --dport 8081 -j DNAT --to-destination 172/m);
      });

    if (inFull(who))
      test("exit codes are the command's, or 125, 126 and 127 as Docker has them", async () => {
        expect((await run(BOX, "sh", "-c", "exit 7")).code).toBe(7);
        expect((await run(BOX, "sh", "-c", "sh -c 'kill -9 $$'; exit $?")).code).toBe(137);
        expect((await run(BOX, "nothere")).code).toBe(127);
        expect((await run(BOX, "/etc/passwd")).code).toBe(126);
        const image = (...command: string[]) => run("--user", "0", WEB, ...command);
        expect((await image("exit 5")).code).toBe(5);
        for (const [args, message] of [
          [["--network", "overlay", BOX], "Allowed choices are bridge, host, none"],
          [["-p", "80", BOX], "wanted [IP:]HOST:CONTAINER[/udp]"],
          [["--on", "node09", BOX], "podwire: no node node09; there are controlplane, node01"],
          [["-u", "nobodyatall", BOX, "id"], "unable to find user nobodyatall: no matching entries in passwd file"],
          [["podwire/echo"], "podwire/echo is answered for by the node's serving process, in pods alone"],
          [["-it", BOX, "sh"], "the input device is not a TTY"],
          [["-w", "here", BOX, "pwd"], "the working directory 'here' is invalid"],
          [["--name", "nothere", BOX], 'no cluster "nothere" is running'],
        ] as const) {
          const { code, stderr } = await run(...args);
          expect([code, stderr]).toEqual([125, expect.stringContaining(message)]);
        }
        expect(await left()).toBe("");
      });

    if (inFull(who))
      test("variables, folder, user, host name and standard input are as asked for", async () => {
        const script = 'id -u; pwd; cat /etc/hostname; echo "$A $B $GREETING"; cat';
        const flags = ["-i", "-e", "A=1", "-e", "B=x y", "-w", "/tmp", "-u", "web", "--hostname", "box"];
        const words = ["run", ...flags, WEB, script];
        const input = "typed\n";
        const { stdout, code } = await cluster.podwireWith(input, ...words);
        expect([code, stdout]).toEqual([0, "101\n/tmp\nbox\n1 x y hello\ntyped\n"]);
        // Without -i there is no input, whatever is on ours.
        expect((await cluster.podwireWith(input, "run", BOX, "cat")).stdout).toBe("");
        // No terminal of ours is needed for one of its own.
        expect((await run("-t", BOX, "sh", "-c", "test -t 0 && test -t 1 && echo terminal")).stdout).toBe(
          "terminal\r\n",
        );
        expect((await run("-u", "12345:54321", BOX, "id", "-g")).stdout).toBe("54321\n");
      });

    if (inFull(who))
      test("signals are passed on, and the command decides", async () => {
        const script = 'trap "sleep 0.5; exit 9" TERM; echo ready; while :; do sleep 0.1; done';
        const { child, output } = cluster.start("run", BOX, "sh", "-c", script);
        await expect.poll(output, { timeout: 60_000 }).toBe("ready\n");
        child.kill("SIGTERM");
        await once(child, "exit");
        expect([child.exitCode, child.signalCode]).toEqual([9, null]);
        expect(await left()).toBe("");
      });

    if (inFull(who))
      test("-it is a terminal, as large as ours", async () => {
        const script =
          'until [ "$(stty size)" = "33 77" ]; do sleep 0.1; done; stty size; read line; echo got $line; exit 3';
        const { code, stdout } = await cluster.onTerminal("typed\r", "run", "-it", BOX, "sh", "-c", script);
        expect(stdout.replaceAll("\r", "")).toMatch(/33 77\n[\s\S]*got typed\n$/);
        expect(code).toBe(3);
      });

    test("what a killed keeper left is gone with the next command, and pods are not disturbed", async () => {
      await cluster.toolbox("pod", "node01");
      const id = await detached("-p", "8082:80", WEB);
      const keeper = "/usr/bin/docker-proxy.*8082";
      const [pid = ""] = (await node(`pgrep -f '^${keeper}'`)).trim().split("\n");
      await node(`kill -9 ${pid}; while [ -d /proc/${pid} ]; do sleep 0.05; done`);
      // Its container is an orphan until somebody looks.
      expect(await node(`ls /run/podwire-run`)).toContain(id);
      expect((await cluster.podwire("ps")).stdout.trim().split("\n")).toHaveLength(1);
      expect(await left()).toBe("");
      expect(await node("pgrep -x httpd")).toBe("");
      expect((await cluster.inPod("pod", "ping -c1 -W10 192.168.1.10 >/dev/null && echo reached")).stdout).toBe(
        "reached\n",
      );
      const next = await run("-p", "8082:80", BOX, "ip", "-br", "-4", "addr", "show", "eth0");
      expect(next.stdout).toContain("172.17.0.2/16");
    });
  });
});
