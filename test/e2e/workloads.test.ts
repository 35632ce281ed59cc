import { describe, expect, it } from "vitest";
import { eventually } from "#test/support/firstLight.ts";
import { lines, NS, playground } from "#test/support/playground.ts";

const { k, suite } = playground();
const waiting = 90_000;

const apply = (...documents: object[]) => k("apply -f -", documents.map((one) => JSON.stringify(one)).join("\n---\n"));
const pods = async (selector: string) =>
  lines(await k(`get pods -n ${NS} -l ${selector} -o name --sort-by=.metadata.name`));
const env = (color: string) => [{ name: "COLOR", value: color }];
const template = (app: string, color = "red") => ({
  metadata: { labels: { app } },
  spec: { containers: [{ name: "c", image: "podwire/echo", env: env(color) }], terminationGracePeriodSeconds: 1 },
});
/** A Job's or CronJob's pod, which runs a line of shell. */
const task = (script: string) => ({
  spec: {
    containers: [{ name: "c", image: "podwire/toolbox", command: ["sh", "-c", script] }],
    restartPolicy: "Never",
  },
});

describe("U01 workloads by kubectl on a cluster (part: StatefulSets)", () => {
  const set = (color: string) => ({
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: { name: "db", namespace: NS },
    spec: { replicas: 3, serviceName: "db", selector: { matchLabels: { app: "db" } }, template: template("db", color) },
  });

  it(
    "have stable names that resolve, roll out, show their history and go back",
    async () => {
      const service = {
        apiVersion: "v1",
        kind: "Service",
        metadata: { name: "db", namespace: NS },
        spec: { clusterIP: "None", selector: { app: "db" }, ports: [{ port: 80 }] },
      };
      await apply(service, set("red"));
      expect(await k(`rollout status statefulset/db -n ${NS} --timeout=90s`)).toMatch(
        /partitioned roll out complete: 3 new pods have been updated\.\.\.\n$|statefulset rolling update complete 3 pods at revision db-\w+\.\.\.\n$/,
      );
      expect(await pods("app=db")).toEqual(["pod/db-0", "pod/db-1", "pod/db-2"]);
      expect((await k(`exec -n ${NS} db-1 -- hostname`)).trim()).toBe("db-1");
      const ip = (await k(`get pod db-1 -n ${NS} -o jsonpath={.status.podIP}`)).trim();
      await eventually(async () =>
        expect(await suite.kubectl.inPod(NS, "box", `getent hosts db-1.db.${NS}.svc.cluster.local`)).toContain(ip),
      );
      await apply(set("blue"));
      await k(`rollout status statefulset/db -n ${NS} --timeout=90s`);
      const color = () => k(`get pod db-0 -n ${NS} -o jsonpath={.spec.containers[0].env[0].value}`);
      expect(await color()).toBe("blue");
      expect(await k(`rollout history statefulset/db -n ${NS}`)).toMatch(
        /^statefulset\.apps\/db \nREVISION +CHANGE-CAUSE\n1 +<none>\n2 +<none>\n/,
      );
      expect(await k(`rollout undo statefulset/db -n ${NS}`)).toBe("statefulset.apps/db rolled back\n");
      await k(`rollout status statefulset/db -n ${NS} --timeout=90s`);
      expect(await color()).toBe("red");
      expect(await k(`scale statefulset/db -n ${NS} --replicas=1`)).toBe("statefulset.apps/db scaled\n");
      await eventually(async () => expect(await pods("app=db")).toEqual(["pod/db-0"]));
      expect(await k(`describe statefulset db -n ${NS}`)).toMatch(
        /SuccessfulDelete +\S+ +(\(x\d+ over \S+\) +)?statefulset-controller +delete Pod db-2 in StatefulSet db successful/,
      );
      await k(`delete statefulset/db svc/db -n ${NS}`);
    },
    waiting * 3,
  );
});

describe("U01 workloads by kubectl on a cluster (part: DaemonSets, owners)", () => {
  it(
    "DaemonSets run on every worker, restart one by one and go back",
    async () => {
      const daemonSet = {
        apiVersion: "apps/v1",
        kind: "DaemonSet",
        metadata: { name: "agent", namespace: NS },
        spec: { selector: { matchLabels: { app: "agent" } }, template: template("agent") },
      };
      await apply(daemonSet);
      expect(await k(`rollout status daemonset/agent -n ${NS} --timeout=90s`)).toContain(
        'daemon set "agent" successfully rolled out',
      );
      expect(await pods("app=agent")).toHaveLength(2);
      await k(`set env daemonset/agent -n ${NS} COLOR=blue`);
      await k(`rollout status daemonset/agent -n ${NS} --timeout=90s`);
      expect(await k(`rollout history daemonset/agent -n ${NS}`)).toMatch(/\n1 +<none>\n2 +<none>\n/);
      expect(await k(`rollout undo daemonset/agent -n ${NS} --to-revision=1`)).toBe(
        "daemonset.apps/agent rolled back\n",
      );
      await k(`rollout status daemonset/agent -n ${NS} --timeout=90s`);
      expect(await k(`get pods -n ${NS} -l app=agent -o jsonpath={.items[*].spec.containers[0].env[0].value}`)).toBe(
        "red red",
      );
    },
    waiting * 2,
  );

  it(
    "delete --cascade: orphans stay, foreground waits, background follows",
    async () => {
      await k(`create deployment lone -n ${NS} --image=podwire/echo --replicas=1`);
      await k(`rollout status deployment/lone -n ${NS} --timeout=60s`);
      await k(`delete deployment lone -n ${NS} --cascade=orphan`);
      expect(await pods("app=lone")).toHaveLength(1);
      const [replicaSet = ""] = lines(await k(`get rs -n ${NS} -l app=lone -o name`));
      await k(`delete ${replicaSet} -n ${NS} --cascade=foreground --timeout=60s`);
      expect((await k(`get pods -n ${NS} -l app=lone -o name`)).trim()).toBe("");
    },
    waiting,
  );
});

describe("U01 workloads by kubectl on a cluster (part: Jobs and CronJobs)", () => {
  it(
    "Jobs run to their end, print, keep their pods, and leave nothing behind",
    async () => {
      await apply({
        apiVersion: "batch/v1",
        kind: "Job",
        metadata: { name: "sum", namespace: NS },
        spec: {
          completions: 3,
          parallelism: 3,
          completionMode: "Indexed",
          template: task("echo index $JOB_COMPLETION_INDEX"),
        },
      });
      expect(await k(`wait job/sum -n ${NS} --for=condition=Complete --timeout=60s`)).toBe(
        "job.batch/sum condition met\n",
      );
      expect(await k(`get job sum -n ${NS}`)).toMatch(
        /^NAME +STATUS +COMPLETIONS +DURATION +AGE\nsum +Complete +3\/3 +/,
      );
      const [second = ""] = await pods("job-name=sum,batch.kubernetes.io/job-completion-index=1");
      expect(await k(`logs -n ${NS} ${second}`)).toBe("index 1\n");
      await k(`delete job sum -n ${NS}`);
      await eventually(async () => expect((await k(`get pods -n ${NS} -l job-name=sum -o name`)).trim()).toBe(""));
    },
    waiting,
  );

  it(
    "fail at their limit and at their deadline, with the reason",
    async () => {
      const job = (name: string, spec: object) => ({
        ...{ apiVersion: "batch/v1", kind: "Job", metadata: { name, namespace: NS } },
        spec: { backoffLimit: 0, ...spec },
      });
      await apply(
        job("broken", { template: task("exit 3") }),
        job("slow", { template: task("trap 'exit 143' TERM; sleep 600 & wait"), activeDeadlineSeconds: 2 }),
      );
      const reason = (name: string) =>
        k(`get job ${name} -n ${NS} -o jsonpath={.status.conditions[?(@.type=="Failed")].reason}`);
      await eventually(async () => expect(await reason("broken")).toBe("BackoffLimitExceeded"));
      await eventually(async () => expect(await reason("slow")).toBe("DeadlineExceeded"));
      await k(`delete job broken slow -n ${NS}`);
    },
    waiting,
  );

  it(
    "a CronJob's Job is started by hand",
    async () => {
      await k(
        `create cronjob tick -n ${NS} --image=podwire/toolbox --schedule=0 0 1 1 *`.replace("0 0 1 1 *", "@yearly") +
          " -- echo tock",
      );
      expect(await k(`create job now -n ${NS} --from=cronjob/tick`)).toBe("job.batch/now created\n");
      await k(`wait job/now -n ${NS} --for=condition=Complete --timeout=60s`);
      expect(await k(`logs job/now -n ${NS}`)).toBe("tock\n");
      await k(`delete cronjob tick -n ${NS}`);
      await eventually(async () => expect((await k(`get jobs -n ${NS} -o name`)).trim()).toBe(""));
    },
    waiting,
  );
});

describe("U01 workloads by kubectl on a cluster (part: drain and disruption budgets)", () => {
  it(
    "drain says what it will not touch, waits for a budget, and empties the node",
    async () => {
      const node = (await k(`get pod box -n ${NS} -o jsonpath={.spec.nodeName}`)).trim();
      const refused = await suite.kubectl.fails(`drain ${node} --timeout=20s`);
      expect(refused).toContain("cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore): ");
      expect(refused).toContain(`cannot delete Pods that declare no controller (use --force to override): ${NS}/box`);
      expect(await k(`uncordon ${node}`)).toBe(`node/${node} uncordoned\n`);
      await k(`create pdb guard -n ${NS} --selector=app=web --min-available=2`);
      await eventually(async () => expect(await k(`get pdb guard -n ${NS}`)).toMatch(/\nguard +2 +N\/A +0 +\S+\n$/));
      const all = `drain ${node} --ignore-daemonsets --force --delete-emptydir-data --grace-period=1`;
      const blocked = await suite.kubectl.fails(`${all} --timeout=4s`);
      const pod = (
        await k(
          `get pods -n ${NS} -l app=web --field-selector=spec.nodeName=${node} -o jsonpath={.items[0].metadata.name}`,
        )
      ).trim();
      expect(blocked).toContain(
        `error when evicting pods/"${pod}" -n "${NS}" (will retry after 5s): Cannot evict pod as it would violate the pod's disruption budget.`,
      );
      await k(`scale deployment/web -n ${NS} --replicas=3`);
      await k(`rollout status deployment/web -n ${NS} --timeout=60s`);
      const done = await k(`${all} --timeout=80s`);
      expect(done).toContain(`pod/${pod} evicted\n`);
      expect(done).toContain(`node/${node} drained\n`);
      const left = await k(`get pods -n ${NS} --field-selector=spec.nodeName=${node} -o name`);
      expect(lines(left).every((name) => name.startsWith("pod/agent-"))).toBe(true);
      await k(`uncordon ${node}`);
    },
    waiting * 3,
  );
});
