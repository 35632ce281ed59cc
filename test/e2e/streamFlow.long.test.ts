import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { PassThrough } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { Attach, Exec, KubeConfig, Log, PortForward, type V1Status } from "@kubernetes/client-node";
import { beforeAll, describe, expect, it } from "vitest";
import { eventually } from "#test/support/firstLight.ts";
import { NS, playground } from "#test/support/playground.ts";

const { k, suite } = playground();

/** How much a process of the cluster may grow for a client that does not read, in KiB. */
const GROWTH_KIB = 48 * 1024;

/** Resident memory of a program on a machine of the cluster, in KiB. */
async function rss(machine: string, program: string): Promise<number> {
  const script = `for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline 2>/dev/null | grep -q '/${program}\\.main\\.cjs\\|/${program}\\.cjs' && sed -n 's/VmRSS: *\\([0-9]*\\) kB/\\1/p' $p/status; done; true`;
  const { stdout } = await suite.cluster.podwire("exec", machine, "--", "sh", "-c", script);
  const sizes = stdout.trim().split("\n").map(Number);
  expect(sizes.length, stdout).toBeGreaterThan(0);
  return Math.max(...sizes);
}

let node = "";
beforeAll(async () => {
  node = await k(`get pod box -n ${NS} -o jsonpath={.spec.nodeName}`);
});

async function both(): Promise<[number, number]> {
  return Promise.all([rss("controlplane", "kube-apiserver"), rss(node, "kubelet")]);
}

describe.each(["true", "false"])(
  "U02 a client that does not read (part: memory, KUBECTL_…_WEBSOCKETS=%s)",
  (webSockets) => {
    const env = () => ({
      ...suite.kubectl.env,
      KUBECTL_REMOTE_COMMAND_WEBSOCKETS: webSockets,
      KUBECTL_PORT_FORWARD_WEBSOCKETS: webSockets,
    });

    it("cat /dev/zero stops, and nobody hoards it", async () => {
      const before = await both();
      const args = ["exec", "-n", NS, "box", "--", "cat", "/dev/zero"];
      const children = Array.from({ length: 4 }, () =>
        spawn(suite.kubectl.program, args, { env: env(), stdio: ["ignore", "pipe", "inherit"] }),
      );
      // Begun, and then not read: the pipe to us is full, kubectl waits, the rest must as well.
      await Promise.all(children.map((child) => once(child.stdout, "readable")));
      await sleep(5000);
      const after = await both();
      for (const [i, name] of ["kube-apiserver", "kubelet"].entries())
        expect((after[i] ?? 0) - (before[i] ?? 0), name).toBeLessThan(GROWTH_KIB);
      // Stopped, not ended: it goes on when it is read.
      let more = 0;
      children[0]?.stdout.on("data", (data: Buffer) => (more += data.length));
      await eventually(async () => expect(more).toBeGreaterThan(64 << 20));
      for (const child of children) child.kill("SIGKILL");
      await eventually(async () =>
        expect(await suite.kubectl.inPod(NS, "box", "pgrep -c '^cat$' || true")).toBe("0\n"),
      );
    });

    it("input of a command that does not read stops as well", async () => {
      const before = await both();
      const args = ["exec", "-i", "-n", NS, "box", "--", "sleep", "20"];
      const child = spawn(suite.kubectl.program, args, { env: env(), stdio: ["pipe", "inherit", "inherit"] });
      let sent = 0;
      const chunk = Buffer.alloc(1 << 20);
      const feed = () => {
        while (!child.stdin.destroyed && child.stdin.write(chunk)) sent += chunk.length;
        sent += chunk.length;
      };
      child.stdin.on("error", () => {});
      child.stdin.on("drain", feed);
      feed();
      await sleep(5000);
      const after = await both();
      for (const [i, name] of ["kube-apiserver", "kubelet"].entries())
        expect((after[i] ?? 0) - (before[i] ?? 0), name).toBeLessThan(GROWTH_KIB);
      expect(sent).toBeLessThan(128 << 20);
      child.kill("SIGKILL");
    });

    it("hundreds of megabytes through a forwarded port", async () => {
      const size = 300 << 20;
      const script = `$s=IO::Socket::INET->new(LocalAddr=>"127.0.0.1:7788",Listen=>5,ReuseAddr=>1);$c=$s->accept;$b="x"x65536;print $c $b for 1..${size / 65536};close $c`;
      const served = suite.kubectl.inPod(NS, "box", `perl -MIO::Socket -e '${script}'`);
      await eventually(() => suite.kubectl.inPod(NS, "box", "grep -q ':1E6C ' /proc/net/tcp"));
      const forward = spawn(suite.kubectl.program, ["port-forward", "-n", NS, "pod/box", ":7788"], {
        env: env(),
        stdio: ["ignore", "pipe", "inherit"],
      });
      let said = "";
      forward.stdout.on("data", (data: Buffer) => (said += data.toString()));
      const listens = /127\.0\.0\.1:(\d+) -> /;
      await eventually(async () => expect(said).toMatch(listens));
      const before = await both();
      const socket = connect(Number(listens.exec(said)?.[1]), "127.0.0.1");
      await once(socket, "readable");
      await sleep(3000);
      const stopped = await both();
      let received = 0;
      for await (const data of socket) received += (data as Buffer).length;
      const after = await both();
      expect(received).toBe(size);
      for (const [i, name] of ["kube-apiserver", "kubelet"].entries()) {
        expect((stopped[i] ?? 0) - (before[i] ?? 0), name).toBeLessThan(GROWTH_KIB);
        expect((after[i] ?? 0) - (before[i] ?? 0), name).toBeLessThan(GROWTH_KIB);
      }
      forward.kill("SIGINT");
      await served;
    });
  },
);

describe("U02 another client's library (part: @kubernetes/client-node)", () => {
  const config = () => {
    const made = new KubeConfig();
    made.loadFromFile(suite.kubectl.env["KUBECONFIG"] ?? "");
    return made;
  };
  const collect = () => {
    const stream = new PassThrough();
    const seen = { text: "" };
    stream.on("data", (data: Buffer) => (seen.text += data.toString()));
    return { stream, seen };
  };

  it("exec: outputs, input, status", async () => {
    const [out, err, input] = [collect(), collect(), new PassThrough()];
    const status = new Promise<V1Status>((resolve, reject) => {
      new Exec(config())
        .exec(
          NS,
          "box",
          "box",
          ["sh", "-c", "read l; echo got $l; echo bad >&2; exit 5"],
          out.stream,
          err.stream,
          input,
          false,
          resolve,
        )
        .catch(reject);
    });
    input.write("typed\n");
    expect(await status).toMatchObject({
      status: "Failure",
      reason: "NonZeroExitCode",
      details: { causes: [{ reason: "ExitCode", message: "5" }] },
    });
    expect([out.seen.text, err.seen.text]).toEqual(["got typed\n", "bad\n"]);
  });

  it("attach and log", async () => {
    const command = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.2; done";
    await suite.kubectl.okWords(["run", "talker", "-n", NS, "--image=podwire/toolbox", "--", "sh", "-c", command]);
    await k(`wait --for=condition=Ready pod/talker -n ${NS} --timeout=60s`);
    const attached = collect();
    const socket = await new Attach(config()).attach(NS, "talker", "talker", attached.stream, null, null, false);
    await eventually(async () => expect(attached.seen.text).toMatch(/line \d+\nline \d+\n/));
    socket.close();
    const logged = collect();
    // It is ended from the other side: the library throws an abort where nobody can take it.
    const ended = once(logged.stream, "end");
    await new Log(config()).log(NS, "talker", "talker", logged.stream, { follow: true, tailLines: 1 });
    await eventually(async () => expect(logged.seen.text).toMatch(/^line \d+\nline \d+\n/));
    await k(`delete pod talker -n ${NS} --grace-period=1`);
    await ended;
  });

  it("port-forward by channels of a WebSocket, and what it says of a port that nobody serves", async () => {
    const pod = (await k(`get pods -n ${NS} -l app=web -o jsonpath={.items[0].metadata.name}`)).trim();
    const [out, err, input] = [collect(), collect(), new PassThrough()];
    await new PortForward(config()).portForward(NS, pod, [8080], out.stream, err.stream, input);
    input.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    await eventually(async () => expect(out.seen.text).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*"pod": "web-/));
    const [nothing, error] = [collect(), collect()];
    await new PortForward(config()).portForward(NS, pod, [81], nothing.stream, error.stream, new PassThrough());
    await eventually(async () =>
      expect(error.seen.text).toMatch(/^error forwarding port 81 to pod [0-9a-f]{64}, uid : /),
    );
  });
});
