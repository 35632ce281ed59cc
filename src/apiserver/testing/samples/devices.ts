import { age, type Sample } from "./sample.ts";

const request = { name: "gpu", exactly: { deviceClassName: "gpu.example.com" } };
const claim = (change: object = {}) => ({ devices: { requests: [{ ...request, ...change }] } });
const defaulted = {
  devices: { requests: [{ exactly: { allocationMode: "ExactCount", count: 1 } }] },
};
const exactly = "exactly one of `exactly` or `firstAvailable` is required";
const wrong = (path: string) =>
  [
    [{ exactly: undefined }, `${path}.requests[0]: Required value: ${exactly}`],
    [{ exactly: { deviceClassName: "" } }, `${path}.requests[0].exactly.deviceClassName: Required value`],
    [
      { exactly: { deviceClassName: "a", allocationMode: "Some" } },
      `${path}.requests[0].exactly.allocationMode: Unsupported value: "Some": supported values: "All", "ExactCount"`,
    ],
    [
      { exactly: { deviceClassName: "a", count: -1 } },
      `${path}.requests[0].exactly.count: Invalid value: -1: must be greater than zero`,
    ],
  ] as const;

/** Samples of dynamic resource allocation. */
export const devices: readonly Sample[] = [
  {
    apiVersion: "resource.k8s.io/v1",
    kind: "DeviceClass",
    plural: "deviceclasses",
    namespaced: false,
    body: { spec: { selectors: [{ cel: { expression: "device.driver == 'gpu.example.com'" } }] } },
    invalid: [
      [{ spec: { selectors: [{}] } }, "spec.selectors[0].cel: Required value"],
      [
        { spec: { config: [{ opaque: { driver: "", parameters: {} } }] } },
        "spec.config[0].opaque.driver: Required value",
      ],
    ],
    columns: "Name Age",
    cells: [age],
  },
  {
    apiVersion: "resource.k8s.io/v1",
    kind: "ResourceClaim",
    plural: "resourceclaims",
    namespaced: true,
    body: { spec: claim() },
    defaulted: { spec: defaulted },
    invalid: wrong("spec.devices").map(([change, text]) => [{ spec: claim(change) }, text] as const),
    immutable: [{ spec: claim({ name: "other" }) }, "field is immutable"],
    columns: "Name State Age",
    cells: ["pending", age],
  },
  {
    apiVersion: "resource.k8s.io/v1",
    kind: "ResourceClaimTemplate",
    plural: "resourceclaimtemplates",
    namespaced: true,
    body: { spec: { spec: claim() } },
    defaulted: { spec: { spec: defaulted } },
    invalid: wrong("spec.spec.devices").map(([change, text]) => [{ spec: { spec: claim(change) } }, text] as const),
    immutable: [{ spec: { spec: claim({ name: "other" }) } }, "field is immutable"],
    columns: "Name Age",
    cells: [age],
  },
  {
    apiVersion: "resource.k8s.io/v1",
    kind: "ResourceSlice",
    plural: "resourceslices",
    namespaced: false,
    body: {
      spec: {
        driver: "gpu.example.com",
        pool: { name: "node01", generation: 1, resourceSliceCount: 1 },
        nodeName: "node01",
        devices: [{ name: "gpu-0", attributes: { model: { string: "a" } }, capacity: { memory: { value: "8Gi" } } }],
      },
    },
    invalid: [
      [{ spec: { driver: "" } }, "spec.driver: Required value"],
      [
        { spec: { nodeName: undefined } },
        "spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required",
      ],
      [{ spec: { devices: [{ name: "a" }, { name: "a" }] } }, 'spec.devices[1].name: Duplicate value: "a"'],
    ],
    immutable: [{ spec: { driver: "other" } }, 'spec.driver: Invalid value: "other": field is immutable'],
    columns: "Name Node Driver Pool Age",
    cells: ["node01", "gpu.example.com", "node01", age],
  },
];
