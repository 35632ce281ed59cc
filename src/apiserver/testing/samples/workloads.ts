import { age, container, type Sample, selector, template } from "./sample.ts";

/** Samples of this part of the API. */
export const workloads: readonly Sample[] = [
  {
    apiVersion: "apps/v1",
    kind: "ControllerRevision",
    plural: "controllerrevisions",
    namespaced: true,
    body: { revision: 3, data: { a: 1 } },
    columns: "Name Controller Revision Age",
    cells: ["<none>", 3, age],
  },
  {
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    plural: "daemonsets",
    namespaced: true,
    body: { spec: { selector, template } },
    defaulted: {
      spec: {
        updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } },
        revisionHistoryLimit: 10,
      },
    },
    immutable: [
      { spec: { selector: { matchLabels: { app: "x", b: "c" } }, template: { metadata: { labels: { b: "c" } } } } },
      "spec.selector: Invalid value: ",
    ],
    columns: "Name|Desired|Current|Ready|Up-to-date|Available|Node Selector|Age|Containers|Images|Selector",
    cells: [0, 0, 0, 0, 0, "<none>", age, "main", "podwire/echo:1", "app=x"],
  },
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    plural: "deployments",
    namespaced: true,
    body: { spec: { selector, template } },
    defaulted: {
      spec: {
        replicas: 1,
        revisionHistoryLimit: 10,
        progressDeadlineSeconds: 600,
        strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: "25%", maxUnavailable: "25%" } },
        template: { spec: { restartPolicy: "Always" } },
      },
    },
    invalid: [
      [{ spec: { template } }, "spec.selector: Required value"],
      [
        { spec: { selector: { matchLabels: { app: "y" } }, template } },
        'spec.template.metadata.labels: Invalid value: {"app":"x"}: `selector` does not match template `labels`',
      ],
      [
        { spec: { selector, template: { ...template, spec: { containers: [container], restartPolicy: "Never" } } } },
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
      ],
      [
        { spec: { selector, template, strategy: { type: "Recreate", rollingUpdate: { maxSurge: 1 } } } },
        "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
      ],
      [
        { spec: { selector, template, replicas: -1 } },
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
      ],
    ],
    immutable: [
      { spec: { selector: { matchLabels: { app: "x", b: "c" } }, template: { metadata: { labels: { b: "c" } } } } },
      "field is immutable",
    ],
    columns: "Name Ready Up-to-date Available Age Containers Images Selector",
    cells: ["0/1", 0, 0, age, "main", "podwire/echo:1", "app=x"],
  },
  {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    plural: "replicasets",
    namespaced: true,
    body: { spec: { selector, template } },
    defaulted: { spec: { replicas: 1 }, status: { replicas: 0 } },
    columns: "Name Desired Current Ready Age Containers Images Selector",
    cells: [1, 0, 0, age, "main", "podwire/echo:1", "app=x"],
  },
  {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    plural: "statefulsets",
    namespaced: true,
    body: { spec: { serviceName: "s", selector, template } },
    defaulted: {
      spec: {
        replicas: 1,
        podManagementPolicy: "OrderedReady",
        updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 0 } },
      },
    },
    immutable: [
      { spec: { serviceName: "other" } },
      "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template'",
    ],
    columns: "Name Ready Age Containers Images",
    cells: ["0/1", age, "main", "podwire/echo:1"],
  },
  {
    apiVersion: "batch/v1",
    kind: "CronJob",
    plural: "cronjobs",
    namespaced: true,
    body: {
      spec: {
        schedule: "* * * * *",
        jobTemplate: { spec: { template: { spec: { restartPolicy: "Never", containers: [container] } } } },
      },
    },
    defaulted: {
      spec: { concurrencyPolicy: "Allow", suspend: false, successfulJobsHistoryLimit: 3, failedJobsHistoryLimit: 1 },
    },
    columns: "Name|Schedule|Timezone|Suspend|Active|Last Schedule|Age|Containers|Images|Selector",
    cells: ["* * * * *", "<none>", "False", 0, "<none>", age, "main", "podwire/echo:1", "<none>"],
  },
  {
    apiVersion: "batch/v1",
    kind: "Job",
    plural: "jobs",
    namespaced: true,
    body: { spec: { template: { spec: { restartPolicy: "Never", containers: [container] } } } },
    defaulted: {
      spec: { completions: 1, parallelism: 1, backoffLimit: 6, completionMode: "NonIndexed", suspend: false },
    },
    invalid: [
      [
        { spec: { template: { spec: { containers: [container] } } } },
        'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
      ],
    ],
    immutable: [{ spec: { completions: 5 } }, "spec.completions: Invalid value: 5: field is immutable"],
    columns: "Name Status Completions Duration Age Containers Images Selector",
  },
];
