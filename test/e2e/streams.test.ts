import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { beforeAll, describe, expect, it } from "vitest";
import { eventually } from "#test/support/firstLight.ts";
import type { Following } from "#test/support/following.ts";
import { Kubectl } from "#test/support/kubectl.ts";
import { NS, playground } from "#test/support/playground.ts";

const { folder, k, suite } = playground();

/** Makes today's kubectl speak SPDY, as all did before 1.31. */
const SPDY = { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: "false", KUBECTL_PORT_FORWARD_WEBSOCKETS: "false" };

/** The suite's kubectl over one of the two transports. */
function over(transport: "WebSocket" | "SPDY"): Kubectl {
  const { env, program } = suite.kubectl;
  const kubectl = new Kubectl(env["KUBECONFIG"] ?? "", env["HOME"] ?? "", program);
  if (transport === "SPDY") Object.assign(kubectl.env, SPDY);
  return kubectl;
}

/** Starts a port-forward. @returns its local port */
async function forward(kubectl: Kubectl, target: string, port: string): Promise<{ local: number; run: Following }> {
  const run = kubectl.follow(`port-forward -n ${NS} ${target} :${port}`);
  const listens = /Forwarding from 127\.0\.0\.1:(\d+) -> /;
  await run.shows(listens);
  return { local: Number(listens.exec(run.output)?.[1]), run };
}

function get(port: number, path = "/"): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port, path, agent: false }, (answer) => {
      void text(answer).then((body) => resolve({ status: answer.statusCode ?? 0, body }), reject);
    });
    asked.on("error", reject);
    asked.end();
  });
}

/** A server for one connection on localhost: what it is sent until the end is hashed, and answered then. */
const HASHING =
  '$s=IO::Socket::INET->new(LocalAddr=>"127.0.0.1:7777",Listen=>5,ReuseAddr=>1);$c=$s->accept;open(STDIN,"<&",$c);open(STDOUT,">&",$c);exec "sha256sum"';

const digest = (data: Buffer): string => createHash("sha256").update(data).digest("hex");

beforeAll(async () => {
  await k(`expose deployment web -n ${NS} --port=80 --target-port=8080`);
});

describe.each(["WebSocket", "SPDY"] as const)("U02 kubectl port-forward over %s", (transport) => {
  it("to a pod, a Deployment, a Service by its own port", async () => {
    const pod = (await k(`get pods -n ${NS} -l app=web -o name`)).split("\n")[0] ?? "";
    for (const [target, port] of [
      [pod, "8080"],
      ["deployment/web", "8080"],
      ["service/web", "80"],
    ] as const) {
      const { local, run } = await forward(over(transport), target, port);
      const { status, body } = await get(local);
      expect([status, body]).toEqual([200, expect.stringContaining('"pod": "web-')]);
      await run.stop();
    }
  });

  it("many connections at once", async () => {
    const { local, run } = await forward(over(transport), "deployment/web", "8080");
    const all = await Promise.all(Array.from({ length: 40 }, () => get(local)));
    expect(all.map(({ status }) => status)).toEqual(Array.from({ length: 40 }, () => 200));
    await run.stop();
  });

  it("to what listens on localhost alone, both halves of a connection, megabytes of it", async () => {
    const served = suite.kubectl.inPod(NS, "box", `perl -MIO::Socket -e '${HASHING}'`);
    await eventually(() => suite.kubectl.inPod(NS, "box", "grep -q ':1E61 ' /proc/net/tcp"));
    const { local, run } = await forward(over(transport), "pod/box", "7777");
    const data = randomBytes(32 << 20);
    const socket = connect({ port: local, host: "127.0.0.1", allowHalfOpen: true });
    socket.end(data);
    expect(await text(socket)).toBe(`${digest(data)}  -\n`);
    await run.stop();
    await served;
  });

  it("says what is refused inside", async () => {
    const { local, run } = await forward(over(transport), "pod/box", "81");
    await get(local).catch(() => undefined);
    await run.shows(
      /error forwarding port 81 to pod [0-9a-f]{64}, uid : failed to execute portforward in network namespace \\?"\/run\/netns\/cni-[0-9a-f-]+\\?": failed to connect to localhost:81 inside namespace \\?"[0-9a-f]{64}\\?", IPv4: dial tcp4 127\.0\.0\.1:81: connect: connection refused IPv6 dial tcp6 \[::1\]:81: connect: connection refused/,
    );
    await run.stop();
  });
});

describe.each(["WebSocket", "SPDY"] as const)("U02 kubectl exec, attach, run and cp over %s", (transport) => {
  const exec = (...command: string[]) => ["exec", "-n", NS, "box", "--", ...command];

  it("outputs, exit code, standard input and its end", async () => {
    const kubectl = over(transport);
    expect(await kubectl.run(exec("sh", "-c", "echo out; echo err >&2; exit 7"))).toEqual({
      code: 7,
      stdout: "out\n",
      stderr: "err\ncommand terminated with exit code 7\n",
    });
    const data = "0123456789abcdef".repeat(1 << 18);
    expect(await kubectl.ok(`exec -i -n ${NS} box -- wc -c`, data)).toBe(`${data.length}\n`);
    expect((await kubectl.ok(`exec -i -n ${NS} box -- cat`, data)).length).toBe(data.length);
  });

  it("a program that is not there, is no program, is a folder, in upstream's words", async () => {
    const kubectl = over(transport);
    const failed = async (...command: string[]) => {
      const { code, stderr } = await kubectl.run(exec(...command));
      expect(code).toBe(1);
      return stderr;
    };
    const text = (rest: string) =>
      new RegExp(
        `^error: Internal error occurred: (Internal error occurred: )?error executing command in container: failed to exec in container: failed to start exec "[0-9a-f]{64}": OCI runtime exec failed: exec failed: unable to start container process: exec: ${rest}: unknown\\n$`,
      );
    expect(await failed("nope")).toMatch(text('"nope": executable file not found in \\$PATH'));
    expect(await failed("/bin/nope")).toMatch(text('"/bin/nope": stat /bin/nope: no such file or directory'));
    expect(await failed("/etc/hosts")).toMatch(text('"/etc/hosts": permission denied'));
    expect(await failed("/etc")).toMatch(text('"/etc": is a directory'));
  });

  it("a terminal, its size, and what is typed", async () => {
    const kubectl = over(transport);
    const inside = 'tty; until [ "$(stty size)" = "31 101" ]; do sleep 0.1; done; read line; echo got $line; exit 3';
    writeFileSync(join(folder, "inside.sh"), inside);
    await kubectl.ok(`cp ${join(folder, "inside.sh")} ${NS}/box:/tmp/inside.sh`);
    const { code, stdout } = await kubectl.terminal(
      `stty cols 101 rows 31; kubectl exec -it -n ${NS} box -- sh /tmp/inside.sh`,
      "typed\n",
    );
    expect([code, stdout]).toEqual([3, expect.stringMatching(/\/dev\/pts\/\d+[\s\S]*got typed\r\n/)]);
  });

  it("run -it --rm, and attach with standard input", async () => {
    const kubectl = over(transport);
    const name = `once-${transport.toLowerCase()}`;
    const once = await kubectl.run(
      [
        "run",
        name,
        "-n",
        NS,
        "-i",
        "--rm",
        "--restart=Never",
        "--image=podwire/toolbox",
        "--",
        "sh",
        "-c",
        "cat; exit 4",
      ],
      { input: "through\n" },
    );
    expect([once.code, once.stdout]).toEqual([4, expect.stringContaining("through\n")]);
    await eventually(async () => expect(await suite.kubectl.fails(`get pod ${name} -n ${NS}`)).toContain("not found"));
    const reader = `reader-${transport.toLowerCase()}`;
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: reader, namespace: NS },
      spec: {
        restartPolicy: "Never",
        containers: [{ name: "c", image: "podwire/toolbox", command: ["head", "-1"], stdin: true }],
      },
    };
    await k("create -f -", JSON.stringify(pod));
    await k(`wait --for=condition=Ready pod/${reader} -n ${NS} --timeout=60s`);
    const { stdout } = await kubectl.terminal(`echo echoed | kubectl attach -i -n ${NS} ${reader}`);
    expect(stdout).toContain("echoed");
    await k(`delete pod ${reader} -n ${NS} --grace-period=1`);
  });

  it("the first client of a container that waits for one sees what was written before it came", async () => {
    const kubectl = over(transport);
    const name = `early-${transport.toLowerCase()}`;
    const container = { name: "c", image: "podwire/toolbox", stdin: true, stdinOnce: true };
    const command = ["sh", "-c", "echo before; head -1"];
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: NS },
      spec: { restartPolicy: "Never", containers: [{ ...container, command }] },
    };
    await k("create -f -", JSON.stringify(pod));
    await eventually(async () => expect(await k(`logs ${name} -n ${NS}`)).toBe("before\n"));
    const { stdout } = await kubectl.terminal(`echo after | kubectl attach -i -n ${NS} ${name}`);
    expect(stdout).toMatch(/before\r?\nafter/);
    await k(`delete pod ${name} -n ${NS} --grace-period=1`);
  });

  it("cp: files and folders, both ways, large", async () => {
    const kubectl = over(transport);
    const sent = join(folder, `sent-${transport}`);
    mkdirSync(join(sent, "deep"), { recursive: true });
    const large = randomBytes(24 << 20);
    writeFileSync(join(sent, "deep", "large"), large);
    writeFileSync(join(sent, "small"), "text\n");
    await kubectl.ok(`cp ${sent} ${NS}/box:/tmp/sent-${transport}`);
    const hash = await suite.kubectl.inPod(NS, "box", `sha256sum < /tmp/sent-${transport}/deep/large`);
    expect(hash).toBe(`${digest(large)}  -\n`);
    await kubectl.ok(`cp ${NS}/box:/tmp/sent-${transport} ${sent}-back`);
    expect(digest(readFileSync(join(`${sent}-back`, "deep", "large")))).toBe(digest(large));
    expect(readFileSync(join(`${sent}-back`, "small"), "utf8")).toBe("text\n");
  });

  it("fifty at once", async () => {
    const kubectl = over(transport);
    const all = await Promise.all(
      Array.from({ length: 50 }, (_, i) => kubectl.run(exec("sh", "-c", `echo ${i}; exit ${i % 3}`))),
    );
    expect(all.map(({ code, stdout }) => [code, stdout])).toEqual(all.map((_, i) => [i % 3, `${i}\n`]));
  });
});
