import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { eventually } from "#test/support/firstLight.ts";
import { Kubectl } from "#test/support/kubectl.ts";
import { lines, NS, playground } from "#test/support/playground.ts";

const { folder, k, suite } = playground();

describe("U01 kubectl logs (part: logs)", () => {
  const chatter = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.1; done";
  it("whole, --tail, --timestamps, -f, -l, of a Deployment", async () => {
    await suite.kubectl.okWords([
      "run",
      "talker",
      "-n",
      NS,
      "--image=podwire/toolbox",
      "--labels=talks=yes",
      "--",
      "sh",
      "-c",
      chatter,
    ]);
    await k(`wait --for=condition=Ready pod/talker -n ${NS} --timeout=60s`);
    await eventually(async () => expect(await k(`logs talker -n ${NS}`)).toMatch(/^line 1\nline 2\nline 3\n/));
    expect(lines(await k(`logs talker -n ${NS} --tail=2`))).toHaveLength(2);
    expect(await k(`logs talker -n ${NS} --tail=1 --timestamps`)).toMatch(/^\d{4}-\d\d-\d\dT\S+Z line \d+\n$/);
    expect(await k(`logs -n ${NS} -l talks=yes --tail=1 --prefix`)).toMatch(/^\[pod\/talker\/talker\] line \d+\n$/);
    const follow = suite.kubectl.follow(`logs -f talker -n ${NS} --tail=1`);
    await follow.shows(/^line \d+\nline \d+\nline \d+\n/);
    await k(`delete pod talker -n ${NS} --grace-period=1`);
    await eventually(async () => expect(await suite.kubectl.fails(`logs talker -n ${NS}`)).toContain("not found"));
    await follow.stop();
  });

  it("--previous shows the container before the restart", async () => {
    const script =
      "if [ -e /data/again ]; then echo second life; sleep infinity; fi; touch /data/again; echo first life; exit 3";
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "twice", namespace: NS },
      spec: {
        volumes: [{ name: "data", emptyDir: {} }],
        containers: [
          {
            name: "main",
            image: "podwire/toolbox",
            command: ["sh", "-c", script],
            volumeMounts: [{ name: "data", mountPath: "/data" }],
          },
        ],
      },
    };
    await k("create -f -", JSON.stringify(pod));
    await eventually(async () => expect(await k(`logs twice -n ${NS}`)).toBe("second life\n"));
    await eventually(async () => expect(await k(`logs twice -n ${NS} --previous`)).toBe("first life\n"));
    await eventually(async () => expect(await k(`get pod twice -n ${NS}`)).toMatch(/^twice +1\/1 +Running +1 /m));
    expect(await suite.kubectl.fails(`logs box -n ${NS} --previous`)).toContain(
      'previous terminated container "box" in pod "box" not found',
    );
    await k(`delete pod twice -n ${NS} --grace-period=1`);
  });
});

describe("U02 kubectl exec", () => {
  it("output, errors, exit code and standard input without a terminal", async () => {
    const result = await suite.kubectl.run([
      "exec",
      "-n",
      NS,
      "box",
      "--",
      "sh",
      "-c",
      "echo out; echo err >&2; exit 7",
    ]);
    expect(result).toEqual({ code: 7, stdout: "out\n", stderr: "err\ncommand terminated with exit code 7\n" });
    expect(await k(`exec -i -n ${NS} box -- cat`, "hello\n")).toBe("hello\n");
    expect(await suite.kubectl.inPod(NS, "box", "tty || true")).toBe("not a tty\n");
    expect(await suite.kubectl.fails(`exec -n ${NS} box -- no-such-program`)).toContain("no-such-program");
  });

  it("a megabyte through standard input and back", async () => {
    const data = "0123456789abcdef".repeat(65536);
    expect((await k(`exec -i -n ${NS} box -- cat`, data)).length).toBe(data.length);
  });

  it("exec -it sh, then ip route, cat /etc/resolv.conf, nslookup, curl, as in the notes", async () => {
    await k(`expose deployment web -n ${NS} --port=80 --target-port=8080`);
    for (const command of ["nslookup web", "curl -sf -m 3 web"])
      await eventually(() => suite.kubectl.inPod(NS, "box", command));
    const typed = "ip route\ncat /etc/resolv.conf\nnslookup web\ncurl -s web\nexit\n";
    const { stdout } = await suite.kubectl.terminal(`kubectl exec -it -n ${NS} box -- sh`, typed);
    expect(stdout).toMatch(/default via 10\.244\.\d\.1 dev eth0/);
    expect(stdout).toMatch(/nameserver 10\.96\.0\.10/);
    expect(stdout).toMatch(/Name:\s+web\.play\.svc\.cluster\.local/);
    expect(stdout).toMatch(/"pod": "web-/);
    await k(`delete svc web -n ${NS}`);
  });

  it("exec -it has a terminal which follows the size of ours", async () => {
    // Both sides wait for each other: the terminal has no size before kubectl tells it, and changes once it was seen.
    const until = (condition: string) => `n=0; until ${condition} || [ $n = 300 ]; do n=$((n+1)); sleep 0.1; done`;
    const sized = (size: string) => until(`[ "$(stty size)" = "${size}" ]`);
    const inside = `tty; ${sized("31 101")}; stty size; touch /tmp/seen; ${sized("22 77")}; stty size`;
    const seen = until(`kubectl exec -n ${NS} box -- test -e /tmp/seen 2>/dev/null`);
    const { stdout } = await suite.kubectl.terminal(
      `stty cols 101 rows 31; (${seen}; stty cols 77 rows 22 </dev/tty) & kubectl exec -it -n ${NS} box -- sh -c '${inside}'`,
    );
    expect(stdout).toMatch(/\/dev\/pts\/\d+\r\n31 101\r\n22 77\r\n/);
  });

  it("cp to a pod and back", async () => {
    const file = join(folder, "sent");
    writeFileSync(file, "some text\n");
    await k(`cp ${file} ${NS}/box:/tmp/sent`);
    expect(await suite.kubectl.inPod(NS, "box", "cat /tmp/sent")).toBe("some text\n");
    await k(`cp ${NS}/box:/tmp/sent ${file}.back`);
    expect(readFileSync(`${file}.back`, "utf8")).toBe("some text\n");
  });

  it("run -it --rm gives a shell and removes the pod", async () => {
    // It ends when it has been typed into, so never before kubectl is attached.
    const { stdout } = await suite.kubectl.terminal(
      `kubectl run once -n ${NS} --image=podwire/toolbox -it --rm --restart=Never -- sh -c 'read word; echo "got $word"'`,
      "something\n",
    );
    expect(stdout).toContain("got something\r\n");
    expect(await suite.kubectl.fails(`get pod once -n ${NS}`)).toContain("not found");
  });
});

describe.runIf(existsSync("/usr/bin/kubectl") || existsSync("/usr/local/bin/kubectl"))(
  "U01 the machine's own kubectl (part: another version)",
  () => {
    it("get, create, exec, logs, delete", async () => {
      const own = ["/usr/bin/kubectl", "/usr/local/bin/kubectl"].find((path) => existsSync(path)) ?? "kubectl";
      const kubectl = new Kubectl((await suite.cluster.status()).kubeconfig, folder, own);
      expect(await kubectl.ok("get nodes")).toMatch(/^node01 +Ready/m);
      await kubectl.ok(`create deployment own -n ${NS} --image=podwire/echo`);
      await kubectl.ok(`rollout status deployment/own -n ${NS} --timeout=60s`);
      expect(await kubectl.ok(`exec -n ${NS} box -- hostname`)).toBe("box\n");
      await kubectl.ok(`logs -n ${NS} deployment/own`);
      expect(await kubectl.ok(`describe deployment own -n ${NS}`)).toContain("1 available");
      await kubectl.ok(`delete deployment own -n ${NS}`);
    });
  },
);
