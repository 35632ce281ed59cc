import { age, container, dnsLabel, type Sample, template } from "./sample.ts";

/** Samples of this part of the API. */
export const pods: readonly Sample[] = [
  {
    apiVersion: "v1",
    kind: "Pod",
    plural: "pods",
    namespaced: true,
    body: {
      spec: {
        containers: [{ ...container, ports: [{ containerPort: 80 }], livenessProbe: { httpGet: { port: 80 } } }],
      },
    },
    defaulted: {
      spec: {
        restartPolicy: "Always",
        dnsPolicy: "ClusterFirst",
        terminationGracePeriodSeconds: 30,
        schedulerName: "default-scheduler",
        enableServiceLinks: true,
        serviceAccountName: "default",
        priority: 0,
        containers: [
          {
            imagePullPolicy: "IfNotPresent",
            terminationMessagePath: "/dev/termination-log",
            ports: [{ protocol: "TCP" }],
            livenessProbe: {
              httpGet: { path: "/", scheme: "HTTP" },
              periodSeconds: 10,
              timeoutSeconds: 1,
              successThreshold: 1,
              failureThreshold: 3,
            },
          },
        ],
      },
      status: { phase: "Pending", qosClass: "BestEffort" },
    },
    invalid: [
      [{ spec: { containers: [] } }, "spec.containers: Required value"],
      [
        { spec: { containers: [{ name: "A_", image: "x" }] } },
        `spec.containers[0].name: Invalid value: "A_": ${dnsLabel}`,
      ],
      [{ spec: { containers: [{ name: "a" }] } }, "spec.containers[0].image: Required value"],
      [
        { spec: { containers: [{ ...container, volumeMounts: [{ name: "v", mountPath: "/v" }] }] } },
        'spec.containers[0].volumeMounts[0].name: Not found: "v"',
      ],
      [
        { spec: { restartPolicy: "Sometimes", containers: [container] } },
        'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
      ],
      [{ spec: { containers: [container, container] } }, 'spec.containers[1].name: Duplicate value: "main"'],
      [
        { spec: { containers: [{ ...container, ports: [{ containerPort: 70000 }] }] } },
        "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
      ],
      [
        { spec: { containers: [{ ...container, resources: { requests: { cpu: "2" }, limits: { cpu: "1" } } }] } },
        'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
      ],
    ],
    immutable: [
      { spec: { hostname: "other" } },
      "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`",
    ],
    columns: "Name|Ready|Status|Restarts|Age|IP|Node|Nominated Node|Readiness Gates",
    cells: ["0/1", "Pending", "0", age, "<none>", "<none>", "<none>", "<none>"],
  },
  {
    apiVersion: "v1",
    kind: "PodTemplate",
    plural: "podtemplates",
    namespaced: true,
    body: { template },
    columns: "Name|Containers|Images|Pod Labels|Age",
    cells: ["main", "podwire/echo:1", "app=x", age],
  },
  {
    apiVersion: "v1",
    kind: "ReplicationController",
    plural: "replicationcontrollers",
    namespaced: true,
    body: { spec: { template } },
    defaulted: { spec: { replicas: 1, selector: { app: "x" } } },
    columns: "Name Desired Current Ready Age Containers Images Selector",
    cells: [1, 0, 0, age, "main", "podwire/echo:1", "app=x"],
  },
  {
    apiVersion: "v1",
    kind: "Service",
    plural: "services",
    namespaced: true,
    body: { spec: { selector: { app: "x" }, clusterIP: "10.96.0.77", ports: [{ port: 80 }] } },
    defaulted: {
      spec: {
        type: "ClusterIP",
        sessionAffinity: "None",
        internalTrafficPolicy: "Cluster",
        ipFamilies: ["IPv4"],
        ipFamilyPolicy: "SingleStack",
        clusterIPs: ["10.96.0.77"],
        ports: [{ protocol: "TCP", targetPort: 80 }],
      },
      status: { loadBalancer: {} },
    },
    invalid: [
      [{ spec: { ports: [] } }, "spec.ports: Required value"],
      [
        { spec: { ports: [{ port: 0 }] } },
        "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
      ],
      [
        { spec: { type: "NodePort", ports: [{ port: 80, nodePort: 80 }] } },
        "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767",
      ],
      [
        { spec: { ports: [{ port: 80, nodePort: 30080 }] } },
        "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
      ],
      [
        { spec: { clusterIP: "10.0.0.1", ports: [{ port: 80 }] } },
        "failed to allocate IP 10.0.0.1: the provided network does not match the current range",
      ],
      [
        { spec: { clusterIP: "10.96.0.1", ports: [{ port: 80 }] } },
        "failed to allocate IP 10.96.0.1: provided IP is already allocated",
      ],
      [{ spec: { ports: [{ port: 80 }, { port: 81 }] } }, "spec.ports[0].name: Required value"],
      [
        { spec: { type: "Bogus", ports: [{ port: 80 }] } },
        'spec.type: Unsupported value: "Bogus": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
      ],
    ],
    immutable: [
      { spec: { clusterIP: "10.96.0.78", clusterIPs: ["10.96.0.78"] } },
      'spec.clusterIPs[0]: Invalid value: ["10.96.0.78"]: may not change once set',
    ],
    columns: "Name|Type|Cluster-IP|External-IP|Port(s)|Age|Selector",
    cells: ["ClusterIP", "10.96.0.77", "<none>", "80/TCP", age, "app=x"],
  },
];
