import { describe, expect, it } from "vitest";
import type { Dict, StoredObject } from "../object.ts";
import { kinds } from "./registry.ts";

const now = Date.parse("2026-01-02T00:00:00Z");
/** A timestamp so many seconds ago. */
const ago = (seconds: number) => new Date(now - seconds * 1000).toISOString().replace(".000", "");

/** The cells that a kind's row has, by column. */
function cells(kind: string, body: Dict, apiVersion = "v1"): Record<string, unknown> {
  const definition = kinds.find(
    (k) => k.kind === kind && (k.group ? `${k.group}/${k.version}` : k.version) === apiVersion,
  );
  if (!definition) throw new Error(`no kind ${kind}`);
  const { metadata = {}, ...rest } = body as { metadata?: Dict };
  const object = { apiVersion, kind, metadata: { name: "x", creationTimestamp: ago(60), ...metadata }, ...rest };
  const row = definition.row(object as StoredObject, now);
  return Object.fromEntries(definition.columns.map((column, i) => [column.name, row[i]]));
}

const spec = { containers: [{ name: "a" }, { name: "b" }] };
const status = (a: Dict, more: Dict = {}) => ({
  phase: "Running",
  containerStatuses: [{ name: "a", restartCount: 0, ...a }],
  ...more,
});
const running = { ready: true, state: { running: {} } };
const init = { ...spec, initContainers: [{ name: "i" }, { name: "j" }] };

/** printPod of k8s.io/kubernetes/pkg/printers/internalversion/printers.go: status, ready, restarts. */
const pods: readonly (readonly [string, Dict, readonly [status: string, ready: string, restarts: string]])[] = [
  ["without status", { spec, status: { phase: "Pending" } }, ["Pending", "0/2", "0"]],
  [
    "waiting for its image",
    { spec, status: status({ state: { waiting: { reason: "ImagePullBackOff" } } }) },
    ["ImagePullBackOff", "0/2", "0"],
  ],
  [
    "that crashes",
    {
      spec,
      status: status({
        restartCount: 2,
        state: { waiting: { reason: "CrashLoopBackOff" } },
        lastState: { terminated: { exitCode: 1, finishedAt: ago(300) } },
      }),
    },
    ["CrashLoopBackOff", "0/2", "2 (5m ago)"],
  ],
  ["that runs", { spec, status: status(running) }, ["Running", "1/2", "0"]],
  [
    "done",
    { spec, status: status({ state: { terminated: { exitCode: 0, reason: "Completed" } } }, { phase: "Succeeded" }) },
    ["Completed", "0/2", "0"],
  ],
  [
    "killed by a signal",
    { spec, status: status({ state: { terminated: { exitCode: 137, signal: 9 } } }) },
    ["Signal:9", "0/2", "0"],
  ],
  [
    "ended without a reason",
    { spec, status: status({ state: { terminated: { exitCode: 3 } } }) },
    ["ExitCode:3", "0/2", "0"],
  ],
  [
    "half done, not ready",
    {
      spec,
      status: {
        phase: "Running",
        containerStatuses: [
          { name: "a", restartCount: 0, state: { terminated: { exitCode: 0, reason: "Completed" } } },
          { name: "b", restartCount: 0, ...running },
        ],
      },
    },
    ["NotReady", "1/2", "0"],
  ],
  ["going", { metadata: { deletionTimestamp: ago(1) }, spec, status: status(running) }, ["Terminating", "1/2", "0"]],
  [
    "going after its end",
    {
      metadata: { deletionTimestamp: ago(1) },
      spec,
      status: status({ state: { terminated: { exitCode: 0, reason: "Completed" } } }, { phase: "Succeeded" }),
    },
    ["Completed", "0/2", "0"],
  ],
  [
    "on a lost node",
    { metadata: { deletionTimestamp: ago(1) }, spec, status: status(running, { reason: "NodeLost" }) },
    ["Unknown", "1/2", "0"],
  ],
  ["evicted", { spec, status: { phase: "Failed", reason: "Evicted" } }, ["Evicted", "0/2", "0"]],
  [
    "in its second init container",
    {
      spec: init,
      status: {
        phase: "Pending",
        initContainerStatuses: [
          { name: "i", restartCount: 1, state: { terminated: { exitCode: 0 } } },
          { name: "j", restartCount: 0, state: { running: {} } },
        ],
      },
    },
    ["Init:1/2", "0/2", "1"],
  ],
  [
    "whose init container fails",
    {
      spec: init,
      status: {
        phase: "Pending",
        initContainerStatuses: [{ name: "i", restartCount: 0, state: { terminated: { exitCode: 1 } } }],
      },
    },
    ["Init:ExitCode:1", "0/2", "0"],
  ],
  [
    "whose init container crashes",
    {
      spec: init,
      status: {
        phase: "Pending",
        initContainerStatuses: [{ name: "i", restartCount: 3, state: { waiting: { reason: "CrashLoopBackOff" } } }],
      },
    },
    ["Init:CrashLoopBackOff", "0/2", "3"],
  ],
  [
    "initialized: restarts of what is done count no more, those of a sidecar do",
    {
      spec: { ...spec, initContainers: [{ name: "i" }, { name: "s", restartPolicy: "Always" }] },
      status: {
        phase: "Running",
        conditions: [{ type: "Initialized", status: "True" }],
        initContainerStatuses: [
          { name: "i", restartCount: 4, state: { terminated: { exitCode: 0 } } },
          { name: "s", restartCount: 1, started: true, ready: true, state: { running: {} } },
        ],
        containerStatuses: [{ name: "a", restartCount: 2, ...running }],
      },
    },
    ["Running", "2/3", "3"],
  ],
  [
    "behind a gate",
    {
      spec,
      status: { phase: "Pending", conditions: [{ type: "PodScheduled", status: "False", reason: "SchedulingGated" }] },
    },
    ["SchedulingGated", "0/2", "0"],
  ],
];

const ports = [{ port: 80, protocol: "TCP" }];
const others: readonly (readonly [string, string, string, Dict, Dict])[] = [
  [
    "a load balancer that waits",
    "v1",
    "Service",
    {
      spec: { type: "LoadBalancer", clusterIPs: ["10.0.0.1"], ports: [{ port: 80, nodePort: 30080, protocol: "TCP" }] },
    },
    { "External-IP": "<pending>", "Port(s)": "80:30080/TCP" },
  ],
  [
    "a load balancer with addresses",
    "v1",
    "Service",
    {
      spec: { type: "LoadBalancer", clusterIPs: ["10.0.0.1"], externalIPs: ["9.9.9.9"], ports },
      status: { loadBalancer: { ingress: [{ ip: "2.2.2.2" }, { ip: "1.1.1.1" }] } },
    },
    { "External-IP": "1.1.1.1,2.2.2.2,9.9.9.9" },
  ],
  [
    "an external name",
    "v1",
    "Service",
    { spec: { type: "ExternalName", externalName: "a.b" } },
    { "Cluster-IP": "<none>", "External-IP": "a.b", "Port(s)": "<none>" },
  ],
  [
    "a headless Service",
    "v1",
    "Service",
    { spec: { type: "ClusterIP", clusterIP: "None", clusterIPs: ["None"], ports } },
    { "Cluster-IP": "None", "External-IP": "<none>" },
  ],
  [
    "an Ingress with TLS and many hosts",
    "networking.k8s.io/v1",
    "Ingress",
    {
      spec: { ingressClassName: "nginx", tls: [{}], rules: ["a", "b", "c", "d"].map((host) => ({ host })) },
      status: { loadBalancer: { ingress: [{ ip: "1.2.3.4" }] } },
    },
    { Class: "nginx", Hosts: "a,b,c + 1 more...", Address: "1.2.3.4", Ports: "80, 443" },
  ],
  [
    "a node with roles that is cordoned",
    "v1",
    "Node",
    {
      metadata: { labels: { "node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": "" } },
      spec: { unschedulable: true },
      status: { conditions: [{ type: "Ready", status: "Unknown" }] },
    },
    { Status: "NotReady,SchedulingDisabled", Roles: "control-plane,worker", "OS-Image": "<unknown>" },
  ],
  [
    "a node that never said anything",
    "v1",
    "Node",
    { spec: {}, status: {} },
    { Status: "Unknown", Roles: "<none>", "Internal-IP": "<none>" },
  ],
  [
    "a Job that runs",
    "batch/v1",
    "Job",
    { spec: { completions: 3 }, status: { startTime: ago(90), succeeded: 1 } },
    { Status: "Running", Completions: "1/3", Duration: "90s" },
  ],
  [
    "a Job that is done",
    "batch/v1",
    "Job",
    {
      spec: { parallelism: 2 },
      status: {
        startTime: ago(90),
        completionTime: ago(60),
        succeeded: 1,
        conditions: [{ type: "Complete", status: "True" }],
      },
    },
    { Status: "Complete", Completions: "1/1 of 2", Duration: "30s" },
  ],
  [
    "a Job that waits",
    "batch/v1",
    "Job",
    { spec: { completions: 1 }, status: { conditions: [{ type: "Suspended", status: "True" }] } },
    { Status: "Suspended", Duration: "" },
  ],
  [
    "a CronJob with a zone",
    "batch/v1",
    "CronJob",
    {
      spec: { schedule: "* * * * *", timeZone: "Etc/UTC", suspend: true },
      status: { lastScheduleTime: ago(30), active: [{}] },
    },
    { Timezone: "Etc/UTC", Suspend: "True", Active: 1, "Last Schedule": "30s" },
  ],
  [
    "a claim that is bound",
    "v1",
    "PersistentVolumeClaim",
    {
      spec: { volumeName: "pv", accessModes: ["ReadWriteOnce"], storageClassName: "s", volumeMode: "Filesystem" },
      status: { phase: "Bound", capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"] },
    },
    {
      Status: "Bound",
      Volume: "pv",
      Capacity: "1Gi",
      "Access Modes": "RWO",
      StorageClass: "s",
      VolumeAttributesClass: "<unset>",
    },
  ],
  [
    "an event of a series",
    "v1",
    "Event",
    {
      involvedObject: { kind: "Pod", name: "p", fieldPath: "spec.containers{a}" },
      type: "Warning",
      reason: "BackOff",
      message: " m \n",
      firstTimestamp: ago(600),
      lastTimestamp: ago(100),
      series: { count: 7, lastObservedTime: ago(5) },
      source: { component: "kubelet", host: "node01" },
    },
    {
      "Last Seen": "5s",
      Object: "pod/p",
      Subobject: "spec.containers{a}",
      Source: "kubelet, node01",
      Message: "m",
      "First Seen": "10m",
      Count: 7,
    },
  ],
  [
    "an event of the newer API",
    "events.k8s.io/v1",
    "Event",
    {
      regarding: { kind: "Node", name: "n" },
      note: "x",
      eventTime: ago(20),
      reportingController: "kube-proxy",
      reportingInstance: "node01",
    },
    { "Last Seen": "20s", Object: "node/n", Source: "kube-proxy, node01", Message: "x", Count: 1 },
  ],
  [
    "a slice of four endpoints",
    "discovery.k8s.io/v1",
    "EndpointSlice",
    {
      addressType: "IPv4",
      ports: [{ port: 80 }, {}],
      endpoints: ["1", "2", "3", "4"].map((n) => ({ addresses: [`10.0.0.${n}`] })),
    },
    { Ports: "80,*", Endpoints: "10.0.0.1,10.0.0.2,10.0.0.3 + 1 more..." },
  ],
  [
    "an empty slice",
    "discovery.k8s.io/v1",
    "EndpointSlice",
    { addressType: "IPv6" },
    { Ports: "<unset>", Endpoints: "<unset>" },
  ],
  [
    "three metrics",
    "autoscaling/v2",
    "HorizontalPodAutoscaler",
    {
      spec: {
        scaleTargetRef: { kind: "Deployment", name: "d" },
        maxReplicas: 3,
        metrics: [
          { type: "Resource", resource: { name: "cpu", target: { averageUtilization: 80 } } },
          { type: "Pods", pods: { metric: { name: "q" }, target: { averageValue: "10" } } },
          { type: "External", external: { metric: { name: "e" }, target: { value: "5" } } },
        ],
      },
      status: {
        currentReplicas: 2,
        currentMetrics: [{ type: "Resource", resource: { name: "cpu", current: { averageUtilization: 5 } } }],
      },
    },
    { Reference: "Deployment/d", Targets: "cpu: 5%/80%, <unknown>/10 + 1 more...", MinPods: "<unset>", Replicas: 2 },
  ],
  [
    "a request that was denied",
    "certificates.k8s.io/v1",
    "CertificateSigningRequest",
    {
      spec: { signerName: "a/b", username: "u" },
      status: { conditions: [{ type: "Approved" }, { type: "Denied" }, { type: "Failed" }] },
    },
    { RequestedDuration: "<none>", Condition: "Denied,Failed" },
  ],
  [
    "an address of a Service",
    "networking.k8s.io/v1",
    "IPAddress",
    { spec: { parentRef: { resource: "services", namespace: "n", name: "s" } } },
    { ParentRef: "services/n/s" },
  ],
];

describe("U01 tables: cells as upstream's printers write them (part: states of objects)", () => {
  it.each(pods)("a pod %s", (_what, pod, [wantedStatus, ready, restarts]) => {
    const { Status, Ready, Restarts } = cells("Pod", pod);
    expect([Status, Ready, Restarts]).toEqual([wantedStatus, ready, restarts]);
  });

  it.each(others)("%s", (_what, apiVersion, kind, body, wanted) => {
    expect(cells(kind, body, apiVersion)).toMatchObject(wanted);
  });
});
