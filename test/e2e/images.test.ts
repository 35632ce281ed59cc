import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TestCluster } from "#test/support/cluster.ts";
import { type BuiltImage, buildImage, folder, writeLayout } from "#test/support/images/build.ts";
import { findRegistry, Registry } from "#test/support/images/registry.ts";
import { shellLayer } from "#test/support/images/shell.ts";
import { makeStaging, type Staging } from "#test/support/staging.ts";
import { clusterStage } from "#test/support/transcript/clusterStage.ts";
import { pagesOf, playPage } from "#test/support/transcript/suite.ts";
import { inFull, people, type User } from "#test/support/user.ts";

/** A web server that is told apart from anything of this machine: its own shell, user, page and signal. */
function webImage(page: string, config: Readonly<Record<string, unknown>> = {}): BuiltImage {
  const web = { uid: 101, gid: 102 };
  return buildImage(
    [
      { files: [...shellLayer(), folder("old"), { name: "old/below", content: "b" }, { name: "gone", content: "g" }] },
      {
        packing: "zstd",
        files: [
          folder("www", web),
          { name: "www/index.html", content: page, ...web },
          { name: "old/.wh..wh..opq" },
          { name: "old/above", content: "a" },
          { name: ".wh.gone" },
          // An image may say anything of what runtimes mount things on.
          { name: "proc", type: "2", target: "www" },
          folder("dev"),
          { name: "dev/null", type: "2", target: "/proc/sys/kernel/hostname" },
        ],
      },
    ],
    {
      Entrypoint: ["/bin/sh", "-c"],
      Cmd: ["trap 'echo ended by SIGINT; sleep 5; exit 0' INT; echo serving; httpd -f -p 8080 -h /www & wait"],
      Env: ["PATH=/bin", "GREETING=hello"],
      User: "web",
      WorkingDir: "/www",
      StopSignal: "SIGINT",
      ExposedPorts: { "8080/tcp": {} },
      ...config,
    },
  );
}

/** What a container sees of the machine, what it is given, and what it may do. */
const LOOK = `ls -d /usr /home /root /run 2>/dev/null; [ -L /proc ] || echo proc; [ -c /dev/null -a ! -L /dev/null ] && echo null
grep -E 'CapBnd|NoNewPrivs|CapEff' /proc/self/status`;
const SEEN = "proc\nnull\nCapEff:\t0000000000000000\nCapBnd:\t00000000a80425fb\nNoNewPrivs:\t1\n";

const events = async (cluster: TestCluster, pod: string): Promise<string> =>
  cluster.ok(
    "get",
    "events",
    "--field-selector",
    `involvedObject.name=${pod}`,
    "-o",
    "custom-columns=R:.reason,M:.message",
  );

const skip = findRegistry() ? {} : { skip: true, meta: { skipReason: "docker-registry is not installed" } };

describe("U02 images without Docker", skip, () => {
  people.describe("pulled from a registry, as %s", ["root", "an ordinary user"], (who) => {
    let staging: Staging;
    let user: User | undefined;
    let registry: Registry;
    let locked: Registry;
    let cluster: TestCluster;
    beforeAll(async () => {
      staging = makeStaging();
      user = people.user(who);
      registry = await Registry.start();
      const htpasswd = "user:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";
      locked = await Registry.start({ user: "user", password: "secret", htpasswd });
      await registry.push("web", "1", webImage("from an image\n"));
      await registry.push("evil", "1", buildImage([{ files: [{ name: "../../evil", content: "x" }] }]));
      await locked.push("web", "1", webImage("from a private image\n"));
      const config = join(staging.directory, "cluster.yaml");
      writeFileSync(
        config,
        `images:
  strict: true
  templates: { nginx: [registry.invalid/web] }
  insecure: ["${registry.host}", "${locked.host}"]
`,
      );
      chmodSync(config, 0o644);
      const flags = ["--config", config, "--example", "none", "--ingress", "none", "--nodes", "2"];
      cluster = new TestCluster({ staging, flags, ...(user ? { user } : {}) });
      await cluster.ready();
    }, 120_000);
    afterAll(async () => {
      await cluster?.stop();
      await registry?.stop();
      await locked?.stop();
      user?.remove();
      staging?.remove();
    });
    const ready = (pod: string) => cluster.ok("wait", "--for=condition=Ready", `pod/${pod}`, "--timeout=60s");
    /** Waits until a pod's container waits for a reason. @returns the message */
    const waiting = async (pod: string, reason: string): Promise<string> => {
      const path = "{.status.containerStatuses[0].state.waiting";
      // Both at once: the next moment may have another reason.
      const read = () => cluster.ok("get", "pod", pod, "-o", `jsonpath=${path}.reason} ${path}.message}`);
      let words = "";
      await expect.poll(async () => (words = await read()), { timeout: 60_000 }).toMatch(new RegExp(`^${reason} `));
      return words.slice(reason.length + 1);
    };

    test("kubectl run, exec, logs, cp, port-forward and debug on it", async () => {
      const image = `${registry.host}/web:1`;
      await cluster.ok("run", "web", `--image=${image}`);
      await ready("web");
      await expect
        .poll(() => events(cluster, "web"))
        .toMatch(
          /Pulled +Successfully pulled image "127.0.0.1:\d+\/web:1" in \S+ \(\S+ including waiting\). Image size: \d+ bytes./,
        );
      expect(await events(cluster, "web")).toContain(`Pulling image "${image}"`);
      expect(await cluster.ok("get", "pod", "web", "-o", "jsonpath={.status.containerStatuses[0].imageID}")).toMatch(
        new RegExp(`^${registry.host}/web@sha256:[0-9a-f]{64}$`),
      );
      expect(await cluster.ok("logs", "web")).toBe("serving\n");
      // A runtime lists the primary group among the supplementary ones (containerd, ensureAdditionalGids).
      expect((await cluster.inPod("web", "id; pwd; echo $GREETING; wget -qO- localhost:8080")).stdout).toBe(
        "uid=101(web) gid=102(web) groups=102(web),200(extra)\n/www\nhello\nfrom an image\n",
      );
      // What one layer hides of another is gone, and can come back.
      expect((await cluster.inPod("web", "ls /old; ls /gone; stat -c %U:%G /www /bin; cat /proc/1/comm")).stdout).toBe(
        "above\nweb:web\nroot:root\nsh\n",
      );
      const again = "rm -r /www/index.html && mkdir /www/index.html && touch /www/index.html/x && ls /www/index.html";
      expect((await cluster.inPod("web", again)).stdout).toBe("x\n");
      const file = join(cluster.directory, "copied");
      writeFileSync(file, "to the pod\n");
      await cluster.ok("cp", file, "web:/www/copied");
      expect((await cluster.inPod("web", "cat /www/copied")).stdout).toBe("to the pod\n");
      const { kubeconfig } = await cluster.status();
      const forward = spawn(process.env["PODWIRE_TEST_KUBECTL"] ?? "kubectl", ["port-forward", "web", ":8080"], {
        env: { PATH: process.env["PATH"] ?? "", HOME: cluster.directory, KUBECONFIG: kubeconfig },
      });
      let words = "";
      forward.stdout.on("data", (data: Buffer) => (words += data.toString()));
      await expect.poll(() => words).toContain("Forwarding from 127.0.0.1:");
      const port = /127\.0\.0\.1:(\d+)/.exec(words)?.[1];
      expect(await (await fetch(`http://127.0.0.1:${port}/copied`)).text()).toBe("to the pod\n");
      forward.kill();
      const debug = await cluster.kubectl(
        "debug",
        "web",
        `--image=${image}`,
        "--target=web",
        "--",
        "sh",
        "-c",
        "echo from debug",
      );
      expect(debug.code).toBe(0);
      await expect
        .poll(() =>
          cluster.ok("get", "pod", "web", "-o", "jsonpath={.status.ephemeralContainerStatuses[0].state.terminated}"),
        )
        .toContain('"reason":"Completed"');
    });

    test("each node has it of one store, and the image's signal ends it", async () => {
      const image = `${registry.host}/web:1`;
      const pin = (node: string) => `--overrides={"apiVersion":"v1","spec":{"nodeName":"${node}"}}`;
      await cluster.ok("run", "other", `--image=${image}`, pin("controlplane"));
      await ready("other");
      await expect.poll(() => events(cluster, "other")).toContain("already present on machine");
      await cluster.ok("delete", "pod", "other", "--wait=false");
      await expect.poll(async () => (await cluster.kubectl("logs", "other")).stdout).toContain("ended by SIGINT");
      const listed = JSON.parse((await cluster.podwire("images", "ls", "--json")).stdout) as {
        name: string;
        layers: number;
      }[];
      expect(listed).toEqual([expect.objectContaining({ name: image, layers: 2 })]);
      const store = join(cluster.directory, "podwire/_images/lab/layers");
      expect(readdirSync(store)).toHaveLength(2);
      // The files belong to the cluster's ids.
      const runner = user?.uid ?? process.getuid?.() ?? 0;
      const own = runner === 0 ? 1_900_000_000 : runner;
      expect(new Set(readdirSync(store).map((layer) => statSync(join(store, layer)).uid))).toEqual(new Set([own]));
      await expect
        .poll(() => cluster.ok("get", "nodes", "-o", "jsonpath={.items[*].status.images[*].names}"))
        .toContain(image);
      // While the cluster runs nobody takes it away, and nobody in the lab can write to it.
      expect((await cluster.podwire("images", "rm", image)).stderr).toContain("in use by the running cluster");
      const write =
        "mount -o remount,bind,rw /var/lib/images/layers; touch /var/lib/images/layers/x; ls -A /var/lib/images/layers | wc -l";
      const tried = await cluster.sh("node01", write);
      expect(tried.stdout.trim()).toBe("2");
      expect(tried.stderr).toMatch(/Read-only file system/);
    });

    test("a container sees nothing of the machine, and has a container's rights", async () => {
      expect((await cluster.inPod("web", LOOK)).stdout).toBe(SEEN);
    });

    test("a RuntimeClass has crun run it (part: in the cluster's user namespace)", async ({ skip }) => {
      skip(!existsSync("/usr/bin/crun"), "no crun on this machine");
      const file = join(cluster.directory, "by-crun.json");
      const runtime = { apiVersion: "node.k8s.io/v1", kind: "RuntimeClass", metadata: { name: "by-crun" } };
      const containers = [{ name: "c", image: `${registry.host}/web:1` }];
      const spec = { runtimeClassName: "by-crun", nodeName: "node01", containers };
      const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "by-crun" }, spec };
      writeFileSync(file, [{ ...runtime, handler: "crun" }, pod].map((one) => JSON.stringify(one)).join("\n---\n"));
      await cluster.ok("apply", "-f", file);
      await ready("by-crun");
      const { stdout } = await cluster.inPod(
        "by-crun",
        "id; pwd; cat /proc/sys/kernel/hostname; wget -qO- localhost:8080",
      );
      expect(stdout).toBe("uid=101(web) gid=102(web) groups=102(web),200(extra)\n/www\nby-crun\nfrom an image\n");
      expect((await cluster.inPod("by-crun", LOOK)).stdout).toBe(SEEN);
      const listed = async () => (await cluster.sh("node01", "crun --root /run/podwire/crun list -q | wc -l")).stdout;
      expect(await listed()).toBe("1\n");
      const shown = await cluster.sh("node01", "ps ax -o args= | grep -c '^[^ ]*crun --root=/run/podwire/crun '");
      expect(shown.stdout).toBe("1\n");
      await cluster.ok("delete", "pod", "by-crun", "--grace-period=1");
      await expect.poll(listed, { timeout: 30_000 }).toBe("0\n");
    });

    if (inFull(who))
      test("credentials come from imagePullSecrets, and from the service account's", async () => {
        const image = `${locked.host}/web:1`;
        await cluster.ok("run", "nobody", `--image=${image}`);
        expect(await waiting("nobody", "ErrImagePull")).toContain(
          "pull access denied, repository does not exist or may require authorization",
        );
        const secret = (name: string, password: string) =>
          cluster.ok(
            "create",
            "secret",
            "docker-registry",
            name,
            `--docker-server=${locked.host}`,
            "--docker-username=user",
            `--docker-password=${password}`,
          );
        await secret("right", "secret");
        await secret("wrong", "guess");
        const withSecrets = (names: string[]) =>
          `--overrides=${JSON.stringify({ apiVersion: "v1", spec: { imagePullSecrets: names.map((name) => ({ name })) } })}`;
        await cluster.ok("run", "private", `--image=${image}`, withSecrets(["wrong", "right"]));
        await ready("private");
        await cluster.ok("run", "guessing", `--image=${locked.host}/web:2`, withSecrets(["wrong"]));
        expect(await waiting("guessing", "ErrImagePull")).toContain("pull access denied");
        await cluster.ok("create", "serviceaccount", "puller");
        await cluster.ok("patch", "serviceaccount", "puller", "-p", '{"imagePullSecrets":[{"name":"right"}]}');
        const account = '--overrides={"apiVersion":"v1","spec":{"serviceAccountName":"puller"}}';
        await cluster.ok("run", "account", `--image=${image}`, "--image-pull-policy=Always", account);
        await ready("account");
      });

    if (inFull(who))
      test("what cannot be had says why, in the kubelet's words", async () => {
        const nope = `${registry.host}/nope:1`;
        await cluster.ok("run", "nope", `--image=${nope}`);
        const failure = `rpc error: code = NotFound desc = failed to pull and unpack image "${nope}": failed to resolve reference "${nope}": ${nope}: not found`;
        expect(await waiting("nope", "ErrImagePull")).toBe(failure);
        expect(await waiting("nope", "ImagePullBackOff")).toBe(
          `Back-off pulling image "${nope}": ErrImagePull: ${failure}`,
        );
        await expect.poll(() => events(cluster, "nope")).toContain("Error: ImagePullBackOff");
        const told = await events(cluster, "nope");
        for (const line of [
          `Pulling image "${nope}"`,
          `Failed to pull image "${nope}": ${failure}`,
          "Error: ErrImagePull",
          `Back-off pulling image "${nope}"`,
        ])
          expect(told).toContain(line);
        await cluster.ok("run", "gone", "--image=127.0.0.1:1/app:1");
        expect(await waiting("gone", "ErrImagePull")).toContain("dial tcp 127.0.0.1:1: connect: connection refused");
        await cluster.ok("run", "evil", `--image=${registry.host}/evil:1`);
        expect(await waiting("evil", "ErrImagePull")).toContain(
          'archive entry "../../evil": "../../evil" leads out of the root by ".."',
        );
        await cluster.ok("run", "never", "--image=localhost/never:1", "--image-pull-policy=Never");
        expect(await waiting("never", "ErrImageNeverPull")).toBe(
          'Container image "localhost/never:1" is not present with pull policy of Never',
        );
      });

    if (inFull(who))
      test("strict: no template stands in, and the pod says so", async () => {
        await cluster.ok("run", "strict", "--image=registry.invalid/web:1");
        const message = await waiting("strict", "ErrImagePull");
        expect(message).toContain('failed to do request: Get "https://registry.invalid/v2/web/manifests/1"');
        expect(message).toContain('(the template nginx is turned off by "images: strict")');
      });

    if (inFull(who))
      test("a program that is not in the image is an error of the start", async () => {
        await cluster.ok(
          "run",
          "command",
          `--image=${registry.host}/web:1`,
          "--restart=Never",
          "--command",
          "--",
          "nothere",
        );
        await expect
          .poll(
            () => cluster.ok("get", "pod", "command", "-o", "jsonpath={.status.containerStatuses[0].state.terminated}"),
            { timeout: 60_000 },
          )
          .toContain('exec: \\"nothere\\": executable file not found in $PATH');
      });

    for (const page of inFull(who) ? pagesOf("images") : [])
      describe(`${page.name}: ${page.title}`, () =>
        playPage(page, async () => {
          const { kubeconfig } = await cluster.status();
          return clusterStage(kubeconfig, cluster.temporary, { registry: registry.host });
        }));

    test("loaded from a file, removed, and pruned with what belongs to the cluster's ids", async () => {
      const layout = join(staging.directory, "layout");
      mkdirSync(layout);
      writeLayout(layout, webImage("from a file\n"), "docker.io/library/filed:1");
      expect((await cluster.podwire("images", "load", layout)).stdout).toMatch(/^filed:1 {2}sha256:/);
      await cluster.ok("run", "filed", "--image=filed:1");
      await ready("filed");
      expect((await cluster.inPod("filed", "wget -qO- localhost:8080")).stdout).toBe("from a file\n");
      await cluster.podwire("down");
      await expect.poll(() => cluster.process.exitCode, { timeout: 30_000 }).not.toBeNull();
      const pruned = JSON.parse((await cluster.podwire("images", "prune", "--all", "--json")).stdout) as {
        images: string[];
      };
      expect(pruned.images).toContain("docker.io/library/filed:1");
      expect(readdirSync(join(cluster.directory, "podwire/_images/lab/layers"))).toEqual([]);
      expect(readdirSync(join(cluster.directory, "podwire/_images/blobs"))).toEqual([]);
    }, 120_000);
  });

  people.describe("in the cluster of %s", ["a user without subordinate ids"], (who) => {
    let staging: Staging;
    let user: User | undefined;
    let cluster: TestCluster;
    beforeAll(async () => {
      staging = makeStaging();
      user = people.user(who);
      cluster = new TestCluster({
        staging,
        flags: ["--example", "none", "--ingress", "none", "--nodes", "1"],
        ...(user ? { user } : {}),
      });
      await cluster.ready();
    }, 120_000);
    afterAll(async () => {
      await cluster?.stop();
      user?.remove();
      staging?.remove();
    });

    test("an image runs as root, all of its files belong to that user, and another user is refused in words", async () => {
      for (const [name, config] of [
        ["rooted", { User: "", Cmd: ["exec httpd -f -p 8080 -h /www"] }],
        ["web", {}],
      ] as const) {
        const layout = join(staging.directory, name);
        writeLayout(layout, webImage("here\n", config), `localhost/${name}:1`);
        expect((await cluster.podwire("images", "load", layout)).code).toBe(0);
      }
      await cluster.ok("run", "rooted", "--image=localhost/rooted:1");
      await cluster.ok("wait", "--for=condition=Ready", "pod/rooted", "--timeout=60s");
      expect(
        (await cluster.inPod("rooted", "id -u; stat -c %u /www/index.html; wget -qO- localhost:8080")).stdout,
      ).toBe("0\n0\nhere\n");
      await cluster.ok("run", "web", "--image=localhost/web:1", "--restart=Never");
      await expect
        .poll(
          () =>
            cluster.ok("get", "pod", "web", "-o", "jsonpath={.status.containerStatuses[0].state.terminated.message}"),
          { timeout: 60_000 },
        )
        .toContain("wants to run as user 101, whom this cluster does not have: podwire doctor says why");
    });
  });
});
