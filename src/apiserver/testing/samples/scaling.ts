import { age, type Sample } from "./sample.ts";

const target = { apiVersion: "apps/v1", kind: "Deployment", name: "web" };
const metric = (resource: object) => ({
  spec: { scaleTargetRef: target, maxReplicas: 5, metrics: [{ type: "Resource", resource }] },
});
const driver = (change: object = {}) => ({ spec: { drivers: [{ name: "csi.example.com", nodeID: "n", ...change }] } });
const attachment = (source: object) => ({ spec: { attacher: "csi.example.com", nodeName: "node01", source } });

/** Samples of autoscalers, volumes' drivers and runtimes. */
export const scaling: readonly Sample[] = [
  {
    apiVersion: "autoscaling/v2",
    kind: "HorizontalPodAutoscaler",
    plural: "horizontalpodautoscalers",
    namespaced: true,
    body: { spec: { scaleTargetRef: target, maxReplicas: 5, behavior: { scaleDown: { selectPolicy: "Disabled" } } } },
    defaulted: {
      spec: {
        minReplicas: 1,
        metrics: [
          { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 80 } } },
        ],
        behavior: {
          scaleUp: {
            stabilizationWindowSeconds: 0,
            selectPolicy: "Max",
            policies: [
              { type: "Pods", value: 4, periodSeconds: 15 },
              { type: "Percent", value: 100, periodSeconds: 15 },
            ],
          },
          scaleDown: { selectPolicy: "Disabled", policies: [{ type: "Percent", value: 100, periodSeconds: 15 }] },
        },
      },
    },
    invalid: [
      [
        { spec: { scaleTargetRef: target, maxReplicas: 0 } },
        "[spec.maxReplicas: Invalid value: 0: must be greater than 0, spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`]",
      ],
      [{ spec: { scaleTargetRef: { name: "x" }, maxReplicas: 3 } }, "spec.scaleTargetRef.kind: Required value"],
      [
        metric({ name: "cpu", target: { type: "Utilization" } }),
        "spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization",
      ],
      [
        { spec: { scaleTargetRef: target, maxReplicas: 3, metrics: [{ type: "Odd" }] } },
        'spec.metrics[0].type: Unsupported value: "Odd": supported values: "ContainerResource", "External", "Object", "Pods", "Resource"',
      ],
      [
        {
          spec: {
            scaleTargetRef: target,
            maxReplicas: 3,
            behavior: { scaleUp: { stabilizationWindowSeconds: 3601 } },
          },
        },
        "spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600",
      ],
    ],
    columns: "Name Reference Targets MinPods MaxPods Replicas Age",
    cells: ["Deployment/web", "cpu: <unknown>/80%", "1", 5, 0, age],
  },
  {
    apiVersion: "autoscaling/v1",
    kind: "HorizontalPodAutoscaler",
    plural: "horizontalpodautoscalers",
    namespaced: true,
    name: "sample-v1",
    body: { spec: { scaleTargetRef: target, maxReplicas: 5, targetCPUUtilizationPercentage: 60 } },
    defaulted: {
      spec: { minReplicas: 1, targetCPUUtilizationPercentage: 60 },
      status: { currentReplicas: 0, desiredReplicas: 0 },
    },
    invalid: [
      [
        { spec: { scaleTargetRef: target, minReplicas: 6, maxReplicas: 5 } },
        "spec.maxReplicas: Invalid value: 5: must be greater than or equal to `minReplicas`",
      ],
    ],
    columns: "Name Reference Targets MinPods MaxPods Replicas Age",
    cells: ["Deployment/web", "cpu: <unknown>/60%", "1", 5, 0, age],
  },
  {
    apiVersion: "storage.k8s.io/v1",
    kind: "CSIDriver",
    plural: "csidrivers",
    namespaced: false,
    name: "csi.example.com",
    body: { spec: { attachRequired: false, tokenRequests: [{ audience: "a" }] } },
    defaulted: {
      spec: {
        attachRequired: false,
        podInfoOnMount: false,
        storageCapacity: false,
        fsGroupPolicy: "ReadWriteOnceWithFSType",
        volumeLifecycleModes: ["Persistent"],
        requiresRepublish: false,
        seLinuxMount: false,
      },
    },
    invalid: [
      [
        { spec: { volumeLifecycleModes: ["Odd"] } },
        'spec.volumeLifecycleModes[0]: Unsupported value: "Odd": supported values: "Ephemeral", "Persistent"',
      ],
      [
        { spec: { tokenRequests: [{ audience: "a", expirationSeconds: 5 }] } },
        "spec.tokenRequests[0].expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes",
      ],
    ],
    immutable: [
      { spec: { volumeLifecycleModes: ["Ephemeral"] } },
      'spec.volumeLifecycleModes: Invalid value: ["Ephemeral"]: field is immutable',
    ],
    columns: "Name AttachRequired PodInfoOnMount StorageCapacity TokenRequests RequiresRepublish Modes Age",
    cells: [false, false, false, "a", false, "Persistent", age],
  },
  {
    apiVersion: "storage.k8s.io/v1",
    kind: "CSINode",
    plural: "csinodes",
    namespaced: false,
    body: driver(),
    invalid: [
      [driver({ nodeID: "" }), "spec.drivers[0].nodeID: Required value"],
      [driver({ name: "" }), "spec.drivers[0].name: Required value"],
      [driver({ allocatable: { count: -1 } }), "spec.drivers[0].allocatable.count: Invalid value: -1"],
      [driver({ topologyKeys: ["a", "a"] }), 'spec.drivers[0].topologyKeys[1]: Duplicate value: "a"'],
    ],
    immutable: [driver({ nodeID: "other" }), "field is immutable"],
    columns: "Name Drivers Age",
    cells: [1, age],
  },
  {
    apiVersion: "storage.k8s.io/v1",
    kind: "CSIStorageCapacity",
    plural: "csistoragecapacities",
    namespaced: true,
    body: { storageClassName: "fast", capacity: "10Gi", nodeTopology: { matchLabels: { zone: "a" } } },
    invalid: [
      [{ storageClassName: "Fast!" }, 'storageClassName: Invalid value: "Fast!": a lowercase RFC 1123 subdomain'],
      [
        { storageClassName: "fast", capacity: "-1" },
        'capacity: Invalid value: "-1": must be greater than or equal to 0',
      ],
    ],
    immutable: [{ storageClassName: "slow" }, 'storageClassName: Invalid value: "slow": field is immutable'],
    columns: "Name StorageClassName Capacity",
    cells: ["fast", "10Gi"],
  },
  {
    apiVersion: "storage.k8s.io/v1",
    kind: "VolumeAttachment",
    plural: "volumeattachments",
    namespaced: false,
    body: attachment({ persistentVolumeName: "pv1" }),
    defaulted: { status: { attached: false } },
    invalid: [
      [
        attachment({}),
        "spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName",
      ],
      [
        attachment({ persistentVolumeName: "" }),
        "spec.source.persistentVolumeName: Required value: must specify non empty persistentVolumeName",
      ],
    ],
    immutable: [{ spec: { nodeName: "other" } }, "field is immutable"],
    columns: "Name Attacher PV Node Attached Age",
    cells: ["csi.example.com", "pv1", "node01", false, age],
  },
  {
    apiVersion: "storage.k8s.io/v1",
    kind: "VolumeAttributesClass",
    plural: "volumeattributesclasses",
    namespaced: false,
    body: { driverName: "csi.example.com", parameters: { iops: "3000" } },
    invalid: [
      [{ driverName: "csi.example.com" }, "parameters: Required value: must contain at least one key/value pair"],
      [{ parameters: { a: "b" } }, "driverName: Required value"],
    ],
    immutable: [{ driverName: "other.example.com" }, "driverName: Forbidden: updates to driverName are forbidden."],
    columns: "Name DriverName Age",
    cells: ["csi.example.com", age],
  },
  {
    apiVersion: "node.k8s.io/v1",
    kind: "RuntimeClass",
    plural: "runtimeclasses",
    namespaced: false,
    body: { handler: "runc", overhead: { podFixed: { memory: "10Mi" } } },
    invalid: [
      [{ handler: "No Good" }, 'handler: Invalid value: "No Good": a lowercase RFC 1123 label must consist of'],
    ],
    immutable: [{ handler: "other" }, 'handler: Invalid value: "other": field is immutable'],
    columns: "Name Handler Age",
    cells: ["runc", age],
  },
];
