import { beforeAll, describe, expect, it } from "vitest";
import { eventually } from "#test/support/firstLight.ts";
import { lines, NS, playground } from "#test/support/playground.ts";

const { k, suite } = playground();

const shell = (name: string, script: string) => ({
  name,
  image: "podwire/toolbox",
  command: ["sh", "-c", script],
});

/** A pod with an init container and two others, which say a few lines on both outputs and stay. */
function speaker(name: string) {
  const stay = "sleep infinity";
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: NS, labels: { speaks: "yes" } },
    spec: {
      terminationGracePeriodSeconds: 1,
      initContainers: [shell("first", "echo prepared")],
      containers: [
        shell("a", `echo one; echo two; echo three; echo bad >&2; ${stay}`),
        shell("b", `echo from b; ${stay}`),
      ],
    },
  };
}

beforeAll(async () => {
  for (const name of ["speaker-1", "speaker-2"]) await k("create -f -", JSON.stringify(speaker(name)));
  await k(`wait --for=condition=Ready pods -l speaks=yes -n ${NS} --timeout=60s`);
  for (const name of ["speaker-1", "speaker-2"])
    await eventually(async () => expect(lines(await k(`logs ${name} -n ${NS} -c a`))).toHaveLength(4));
});

describe("U01 kubectl logs (part: containers of a pod)", () => {
  it("one is chosen by name, or by the pod's annotation; all of them, with where they come from", async () => {
    expect(await k(`logs speaker-1 -n ${NS} -c b`)).toBe("from b\n");
    expect(await k(`logs speaker-1 -n ${NS} -c first`)).toBe("prepared\n");
    const { stderr } = await suite.kubectl.run(["logs", "speaker-1", "-n", NS]);
    expect(stderr).toBe('Defaulted container "a" out of: a, b, first (init)\n');
    await k(`annotate pod speaker-1 -n ${NS} kubectl.kubernetes.io/default-container=b`);
    expect(await k(`logs speaker-1 -n ${NS}`)).toBe("from b\n");
    const all = lines(await k(`logs speaker-1 -n ${NS} --all-containers --prefix`));
    expect(all).toContain("[pod/speaker-1/first] prepared");
    expect(all).toContain("[pod/speaker-1/a] two");
    expect(all).toContain("[pod/speaker-1/b] from b");
    expect(all).toHaveLength(6);
  });

  it("of many pods by label; following more than --max-log-requests is refused", async () => {
    const all = lines(await k(`logs -l speaks=yes -n ${NS} -c a --prefix --tail=-1`));
    expect(all.filter((line) => line === "[pod/speaker-2/a] three")).toHaveLength(1);
    expect(all).toHaveLength(8);
    expect(await suite.kubectl.fails(`logs -f -l speaks=yes -n ${NS} --all-containers --max-log-requests=2`)).toContain(
      "but maximum allowed concurrency is 2, use --max-log-requests to increase the limit",
    );
  });

  it("what the server says without a client's help", async () => {
    const log = `get --raw /api/v1/namespaces/${NS}/pods/speaker-1/log`;
    expect(await suite.kubectl.fails(log)).toBe(
      "Error from server (BadRequest): a container name must be specified for pod speaker-1, choose one of: [a b] or one of the init containers: [first]\n",
    );
    expect(await suite.kubectl.fails(`${log}?container=c`)).toBe(
      "Error from server (BadRequest): container c is not valid for pod speaker-1\n",
    );
    expect(await k(`${log}?container=a&stream=Stderr`)).toBe("bad\n");
    expect(await k(`${log}?container=a&stream=Stdout`)).toBe("one\ntwo\nthree\n");
    expect(await k(`${log}?container=a&insecureSkipTLSVerifyBackend=true&tailLines=0`)).toBe("");
    expect(await suite.kubectl.fails(`${log}?container=a&previous=true`)).toBe(
      'Error from server (BadRequest): previous terminated container "a" in pod "speaker-1" not found\n',
    );
  });

  it("--since, --since-time, --limit-bytes, --tail", async () => {
    expect(await k(`logs speaker-2 -n ${NS} -c b --limit-bytes=4`)).toBe("from");
    expect(await k(`logs speaker-2 -n ${NS} -c b --since=1h`)).toBe("from b\n");
    expect(await k(`logs speaker-2 -n ${NS} -c b --since-time=2100-01-01T00:00:00Z`)).toBe("");
    expect(await k(`logs speaker-2 -n ${NS} -c b --tail=0`)).toBe("");
    expect(await suite.kubectl.fails(`logs speaker-2 -n ${NS} -c b --tail=-2`)).toContain(
      "--tail must be greater than or equal to -1",
    );
  });
});

describe("U01 kubectl logs (part: containers that come and go)", () => {
  it("-f ends with the container's run; the next one has a log of its own", async () => {
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "comes-back", namespace: NS },
      spec: {
        volumes: [{ name: "data", emptyDir: {} }],
        containers: [
          {
            ...shell(
              "c",
              "if [ -e /data/again ]; then echo second; sleep infinity; fi; echo first; until [ -e /data/go ]; do sleep 0.1; done; touch /data/again; echo last words",
            ),
            volumeMounts: [{ name: "data", mountPath: "/data" }],
          },
        ],
      },
    };
    await k("create -f -", JSON.stringify(pod));
    await k(`wait --for=condition=Ready pod/comes-back -n ${NS} --timeout=60s`);
    const follow = suite.kubectl.follow(`logs -f comes-back -n ${NS}`);
    await follow.shows(/^first\n/);
    await suite.kubectl.inPod(NS, "comes-back", "touch /data/go");
    await follow.shows(/^first\nlast words\n/);
    // Not stopped: it ends on its own.
    await follow.ends();
    expect(follow.output).toBe("first\nlast words\n");
    await eventually(async () => expect(await k(`logs comes-back -n ${NS}`)).toBe("second\n"));
    expect(await k(`logs comes-back -n ${NS} -p`)).toBe("first\nlast words\n");
  });

  it("a container that cannot start says why it has none", async () => {
    await k(`run missing -n ${NS} --image=registry.example/nothing:1`);
    await eventually(async () =>
      expect(await suite.kubectl.fails(`logs missing -n ${NS}`)).toMatch(
        /^Error from server \(BadRequest\): container "missing" in pod "missing" is waiting to start: (image can't be pulled|trying and failing to pull image)\n$/,
      ),
    );
    await k(`delete pod missing -n ${NS} --grace-period=0 --force`);
  });
});
