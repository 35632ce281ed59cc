import { describe, expect, it } from "vitest";
import type { PodSpec } from "#api/index.ts";
import { unsupportedFields, unsupportedMessage } from "./unsupported.ts";

const fieldsOf = (spec: object) => unsupportedFields(spec as unknown as PodSpec).map(({ field }) => field);
const inContainer = (container: object) => fieldsOf({ containers: [{ name: "c", ...container }] });

describe("fields of a pod that its node does not act on", () => {
  it.each([
    [{ hostPID: true, hostIPC: true, shareProcessNamespace: true }, []],
    [{ hostUsers: true }, []],
    [{ hostUsers: false }, ["spec.hostUsers"]],
    [{ runtimeClassName: "gvisor" }, []],
    [{ volumes: [{ name: "b", emptyDir: { sizeLimit: "1Mi" } }] }, []],
    [
      { volumes: [{ name: "a" }, { name: "b", projected: { sources: [{ clusterTrustBundle: { path: "x" } }] } }] },
      ["spec.volumes[1].projected.sources[0].clusterTrustBundle"],
    ],
    [{ securityContext: {} }, []],
    [{ securityContext: { seccompProfile: { type: "Unconfined" } } }, []],
    [{ securityContext: { seccompProfile: { type: "RuntimeDefault" } } }, ["spec.securityContext.seccompProfile"]],
  ])("%j: %j", (spec, expected) => expect(fieldsOf({ containers: [], ...spec })).toEqual(expected));

  it.each([
    [{ image: "nginx", ports: [{ containerPort: 80 }], resources: {}, env: [{ name: "A", value: "1" }] }, []],
    [{ ports: [{ containerPort: 1 }, { containerPort: 80, hostPort: 8080 }] }, []],
    [{ resources: { requests: { cpu: "1" } } }, []],
    [{ resources: { limits: { cpu: "1" } } }, ["resources.limits"]],
    [{ securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true } }, []],
    [{ securityContext: { allowPrivilegeEscalation: true } }, []],
    [
      { securityContext: { capabilities: { add: ["NET_ADMIN", "NET_ADMINS"], drop: ["ALL", "CAP_BPF"] } } },
      ["securityContext.capabilities.add[1]"],
    ],
    [{ volumeMounts: [{ mountPropagation: "None" }] }, []],
    [{ volumeMounts: [{ mountPropagation: "Bidirectional" }] }, ["volumeMounts[0].mountPropagation"]],
    [{ livenessProbe: { httpGet: {} }, readinessProbe: { grpc: { port: 1 } } }, []],
  ])("of a container, %j: %j", (container, expected) => {
    expect(inContainer(container)).toEqual(expected.map((field) => `spec.containers[0].${field}`));
    expect(fieldsOf({ containers: [], initContainers: [{ name: "a" }, container] })).toEqual(
      expected.map((field) => `spec.initContainers[1].${field}`),
    );
  });

  it("takes the host's ports and settings for what they are in a pod of the node's network", () => {
    const spec = {
      containers: [{ name: "c", ports: [{ containerPort: 80, hostPort: 80 }] }],
      securityContext: { sysctls: [{ name: "net.core.somaxconn", value: "1" }] },
    };
    expect(fieldsOf(spec)).toEqual([]);
    expect(fieldsOf({ ...spec, hostNetwork: true })).toEqual(["spec.securityContext.sysctls[0].name"]);
    const sysctls = (name: string, more = {}) =>
      fieldsOf({ containers: [], securityContext: { sysctls: [{ name }] }, ...more });
    expect(sysctls("kernel.shm_rmid_forced")).toEqual([]);
    expect(sysctls("kernel.shm_rmid_forced", { hostIPC: true })).toHaveLength(1);
    expect(sysctls("kernel.panic")).toHaveLength(1);
  });

  it("are limits that control groups do not bind, of what a node would bind", () => {
    const limits = { cpu: "1", "ephemeral-storage": "1Gi", "example.com/card": "1" };
    const spec = { containers: [{ name: "c", resources: { limits } }] } as unknown as PodSpec;
    expect(unsupportedFields(spec, new Set(["cpu", "memory"]))).toEqual([
      {
        field: "spec.containers[0].resources.limits",
        why: "this machine's control groups bind only limits of cpu and memory",
      },
    ]);
    const bound = { containers: [{ name: "c", resources: { limits: { cpu: "1", "example.com/card": "1" } } }] };
    expect(unsupportedFields(bound as unknown as PodSpec, new Set(["cpu", "memory"]))).toEqual([]);
  });

  it("become one sentence", () => {
    expect(unsupportedMessage([])).toBeUndefined();
    const spec = {
      containers: [
        {
          name: "c",
          securityContext: { seLinuxOptions: { level: "s0" }, appArmorProfile: { type: "RuntimeDefault" } },
        },
      ],
      hostUsers: false,
    };
    expect(unsupportedMessage(unsupportedFields(spec as unknown as PodSpec))).toBe(
      "Fields that this node does not act on: spec.hostUsers (the pod lives in the node's user namespace); spec.containers[0].securityContext.appArmorProfile, spec.containers[0].securityContext.seLinuxOptions (no security labels are set on processes and files)",
    );
  });
});
