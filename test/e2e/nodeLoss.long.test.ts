import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestCluster } from "../support/cluster.ts";
import { makeStaging, type Staging } from "../support/staging.ts";

const SIGCONT = 18;
const SIGSTOP = 19;
/** Longer than the 50 s after which a silent node counts as lost. */
const LOSS_MS = 100_000;

describe("a node that falls silent and returns", () => {
  let staging: Staging;
  let cluster: TestCluster;
  beforeAll(async () => {
    staging = makeStaging();
    cluster = new TestCluster({ staging });
    await cluster.ready();
    await cluster.podsReady();
  }, 120_000);
  afterAll(async () => {
    await cluster.stop();
    staging.remove();
  });

  const jsonpath = async (of: string, path: string) =>
    await cluster.ok("get", ...of.split(" "), "-o", `jsonpath=${path}`);
  const until = async (what: () => Promise<string>, expected: unknown, timeout = 30_000) =>
    await expect.poll(what, { interval: 250, timeout }).toEqual(expected);
  const run = async (name: string, node: string, seconds: number | undefined) => {
    const key = "node.kubernetes.io/unreachable";
    const toleration = { key, operator: "Exists", effect: "NoExecute" };
    const tolerations = [seconds === undefined ? toleration : { ...toleration, tolerationSeconds: seconds }];
    const overrides = JSON.stringify({ apiVersion: "v1", spec: { nodeName: node, tolerations } });
    await cluster.ok("run", name, "--image=podwire/echo", "--labels=app=web", `--overrides=${overrides}`);
    await cluster.ok("wait", "--for=condition=Ready", `pod/${name}`, "--timeout=60s");
  };
  const readyEndpoints = async () =>
    (
      await jsonpath(
        "endpointslices -l kubernetes.io/service-name=web",
        '{range .items[*].endpoints[?(@.conditions.ready==true)]}{.targetRef.name}{" "}{end}',
      )
    )
      .trim()
      .split(" ")
      .sort()
      .join(" ");

  it("says in upstream's words why a pod goes nowhere", async () => {
    const overrides = JSON.stringify({
      apiVersion: "v1",
      spec: { containers: [{ name: "big", image: "nginx", resources: { requests: { cpu: "1000" } } }] },
    });
    await cluster.ok("run", "big", "--image=nginx", `--overrides=${overrides}`);
    const message =
      "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. no new claims to deallocate, " +
      "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.";
    await until(async () => await jsonpath("pod big", "{.status.conditions[0].message}"), message);
    await until(
      async () => await jsonpath("events --field-selector reason=FailedScheduling", "{.items[0].message}"),
      message,
    );
    await cluster.ok("delete", "pod", "big");
  });

  it("has an IPAddress for every Service, in a ServiceCIDR that is ready", async () => {
    await cluster.ok("create", "service", "clusterip", "web", "--tcp=80:8080", "--clusterip=10.96.77.7");
    await cluster.ok("patch", "service", "web", "-p", '{"spec":{"selector":{"app":"web"}}}');
    expect((await cluster.ok("get", "ipaddress", "10.96.77.7", "--no-headers")).split(/\s+/).slice(0, 2)).toEqual([
      "10.96.77.7",
      "services/default/web",
    ]);
    await until(async () => await jsonpath("servicecidr kubernetes", "{.status.conditions[0].status}"), "True");
  });

  it("is marked and tainted, its pods leave Services and are evicted; then all is well again", async () => {
    await run("here", "node01", undefined);
    await run("stays", "node02", undefined);
    await run("goes", "node02", 1);
    await until(readyEndpoints, "goes here stays");

    await cluster.signal("kubelet/node02", SIGSTOP);
    const ready = '{.status.conditions[?(@.type=="Ready")].status}';
    await until(async () => await jsonpath("node node02", ready), "Unknown", LOSS_MS);
    const taints = '{range .spec.taints[*]}{.key}{":"}{.effect}{" "}{end}';
    const unreachable = "node.kubernetes.io/unreachable";
    await until(
      async () => await jsonpath("node node02", taints),
      `${unreachable}:NoSchedule ${unreachable}:NoExecute `,
    );
    await until(readyEndpoints, "here");
    await until(
      async () => await jsonpath("pod goes", '{.status.conditions[?(@.type=="DisruptionTarget")].reason}'),
      "DeletionByTaintManager",
    );
    const events = "events --field-selector involvedObject.name=goes,reason=TaintManagerEviction";
    await until(async () => await jsonpath(events, "{.items[0].message}"), "Marking for deletion Pod default/goes");
    // Nobody is there to end it; who tolerates stays.
    expect(await cluster.ok("get", "pods", "--no-headers")).toMatch(/goes\s.*Terminating/);
    expect(await jsonpath("pod stays", "{.metadata.deletionTimestamp}")).toBe("");
    const other = await jsonpath("node node01", ready);
    expect(other).toBe("True");

    await cluster.signal("kubelet/node02", SIGCONT);
    await until(async () => await jsonpath("node node02", ready), "True", LOSS_MS);
    await until(async () => await jsonpath("node node02", taints), "");
    await until(readyEndpoints, "here stays", 60_000);
    await until(async () => await cluster.ok("get", "pods", "goes", "--ignore-not-found", "-o", "name"), "", 60_000);
  }, 360_000);

  it("sends traffic to the endpoint on the client's own node when a Service prefers that", async () => {
    await cluster.ok("wait", "--for=condition=Ready", "pod/stays", "--timeout=60s");
    await cluster.ok("patch", "service", "web", "-p", '{"spec":{"trafficDistribution":"PreferSameNode"}}');
    const hints = '{range .items[*].endpoints[*]}{.nodeName}{"="}{.hints.forNodes[0].name}{" "}{end}';
    const slices = "endpointslices -l kubernetes.io/service-name=web";
    await until(
      async () => (await jsonpath(slices, hints)).trim().split(" ").sort().join(" "),
      "node01=node01 node02=node02",
    );
    // On each node the address leads to that node's endpoint alone.
    for (const [node, pod] of [
      ["node01", "here"],
      ["node02", "stays"],
    ] as const) {
      const script = "for i in 1 2 3 4 5 6 7 8; do curl -s -D - -o /dev/null http://10.96.77.7; done";
      const chosen = async () => {
        const { stdout } = await cluster.sh(node, script);
        return [...new Set([...stdout.matchAll(/^x-pod: (\S+)/gim)].map(([, name]) => name))];
      };
      await expect.poll(chosen, { interval: 500, timeout: 60_000 }).toEqual([pod]);
    }
  }, 150_000);

  it("answers at the ports of the controllers and the scheduler", async () => {
    await cluster.ok("create", "clusterrole", "metrics", "--verb=get", "--non-resource-url=/metrics");
    await cluster.ok(
      "create",
      "clusterrolebinding",
      "metrics",
      "--clusterrole=metrics",
      "--serviceaccount=default:default",
    );
    const token = (await cluster.ok("create", "token", "default")).trim();
    for (const [port, metric] of [
      [10_257, "workqueue_depth"],
      [10_259, "scheduler_schedule_attempts_total"],
    ] as const) {
      const ask = (path: string, more = "") =>
        cluster.sh("controlplane", `curl -sk ${more} https://127.0.0.1:${port}${path}`);
      for (const path of ["/healthz", "/livez", "/readyz"]) expect((await ask(path)).stdout).toBe("ok");
      expect((await ask("/metrics")).stdout).toContain('User \\"system:anonymous\\" cannot get path');
      expect((await ask("/metrics", `-H "Authorization: Bearer ${token}"`)).stdout).toContain(`# TYPE ${metric} `);
    }
  });
});
