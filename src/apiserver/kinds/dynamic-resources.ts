import type {
  ResourceV1ResourceClaim,
  V1DeviceClaim,
  V1DeviceClass,
  V1DeviceRequest,
  V1DeviceSelector,
  V1ResourceClaimTemplate,
  V1ResourceSlice,
} from "@kubernetes/client-node";
import { equalJson } from "#base/json.ts";
import type { FieldErrors } from "../errors.ts";
import type { StoredObject } from "../object.ts";
import { form, oneOf } from "./checks.ts";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { dnsLabel, dnsSubdomain } from "./names.ts";
import { age } from "./print.ts";

/**
 * Dynamic resource allocation, stored.
 * Source: k8s.io/kubernetes/pkg/apis/resource (defaults, validation), pkg/printers.
 */

const group = "resource.k8s.io";

/** Most items of the lists in a claim and in a class. */
const listLimit = 32;

/** resource.k8s.io/v1 DeviceClass, stored. */
export const deviceClass = defineKind<Stored<V1DeviceClass>>({
  group,
  kind: "DeviceClass",
  plural: "deviceclasses",
  type: "resource.v1.DeviceClass",
  namespaced: false,
  generation: true,
  validate(o, errors) {
    validateSelectors(o.spec?.selectors, "spec.selectors", errors);
    o.spec?.config?.forEach((config, i) => {
      validateConfig(config, `spec.config[${i}]`, errors);
    });
  },
});

type Claim = Stored<ResourceV1ResourceClaim>;

/** resource.k8s.io/v1 ResourceClaim, stored. */
export const resourceClaim = defineKind<Claim>({
  group,
  kind: "ResourceClaim",
  plural: "resourceclaims",
  type: "resource.v1.ResourceClaim",
  status: true,
  generation: false,
  columns: columns("Name", "State", "Age"),
  row: (o, now) => [o.metadata.name, stateOf(o), age(o.metadata.creationTimestamp, now)],
  defaults: (o) => defaultClaim(o.spec?.devices),
  validate: (o, errors) => validateClaim(o.spec?.devices, "spec.devices", errors),
  validateUpdate: (o, old, errors) => unchangedSpec(o, old, errors),
});

function stateOf({ metadata, status }: Claim): string {
  const deleted = metadata.deletionTimestamp !== undefined;
  if (!status?.allocation) return deleted ? "deleted" : "pending";
  const reserved = (status.reservedFor?.length ?? 0) > 0;
  return [...(deleted ? ["deleted"] : []), "allocated", ...(reserved ? ["reserved"] : [])].join(",");
}

/** resource.k8s.io/v1 ResourceClaimTemplate, stored. */
export const resourceClaimTemplate = defineKind<Stored<V1ResourceClaimTemplate>>({
  group,
  kind: "ResourceClaimTemplate",
  plural: "resourceclaimtemplates",
  type: "resource.v1.ResourceClaimTemplate",
  defaults: (o) => defaultClaim(o.spec?.spec?.devices),
  validate: (o, errors) => validateClaim(o.spec?.spec?.devices, "spec.spec.devices", errors),
  validateUpdate: (o, old, errors) => unchangedSpec(o, old, errors),
});

function unchangedSpec(o: StoredObject, old: StoredObject, errors: FieldErrors): void {
  if (!equalJson(o.spec, old.spec)) errors.invalid("spec", o.spec, "field is immutable");
}

type Slice = Stored<V1ResourceSlice>;

/** resource.k8s.io/v1 ResourceSlice, stored. */
export const resourceSlice = defineKind<Slice>({
  group,
  kind: "ResourceSlice",
  plural: "resourceslices",
  type: "resource.v1.ResourceSlice",
  namespaced: false,
  generation: true,
  columns: columns("Name", "Node", "Driver", "Pool", "Age"),
  row: ({ metadata, spec }, now) => [
    ...[metadata.name, spec?.nodeName ?? "<unset>", spec?.driver ?? "", spec?.pool?.name ?? ""],
    age(metadata.creationTimestamp, now),
  ],
  selectableFields: ["spec.nodeName", "spec.driver"],
  selectable: ({ spec }) => ({ "spec.nodeName": spec?.nodeName ?? "", "spec.driver": spec?.driver ?? "" }),
  validate: validateSlice,
  validateUpdate({ spec }, { spec: old }, errors) {
    if (spec?.driver !== old?.driver) errors.invalid("spec.driver", spec?.driver, "field is immutable");
    if (spec?.pool?.name !== old?.pool?.name) errors.invalid("spec.pool.name", spec?.pool?.name, "field is immutable");
    if (spec?.nodeName !== old?.nodeName) errors.invalid("spec.nodeName", spec?.nodeName, "field is immutable");
  },
});

const places = ["nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection"] as const;

function validateSlice({ spec }: Slice, errors: FieldErrors): void {
  validateDriver(spec?.driver ?? "", "spec.driver", errors);
  const { name = "", resourceSliceCount = 0, generation = 0 } = spec?.pool ?? {};
  if (name === "") errors.required("spec.pool.name");
  else for (const part of name.split("/")) form(part, dnsSubdomain(part), "spec.pool.name", errors);
  if (resourceSliceCount <= 0)
    errors.invalid("spec.pool.resourceSliceCount", resourceSliceCount, "must be greater than zero");
  if (generation < 0) errors.invalid("spec.pool.generation", generation, "must be greater than or equal to zero");
  const chosen = places.filter((place) => spec?.[place]);
  const exactly = `exactly one of ${places.map((place) => `\`${place}\``).join(", ")} is required`;
  if (chosen.length === 0) errors.required("spec", exactly);
  if (chosen.length > 1) errors.invalid("spec", `{${chosen.join(", ")}}`, `${exactly}, but multiple fields are set`);
  const names = new Set<string>();
  spec?.devices?.forEach((device, i) => {
    validateName(device.name, names, `spec.devices[${i}].name`, errors);
  });
}

function validateDriver(name: string, path: string, errors: FieldErrors): void {
  if (name === "") errors.required(path);
  else if (name.length > 63) errors.tooLong(path, 63);
  else form(name, dnsSubdomain(name), path, errors);
}

function validateName(name: string | undefined, names: Set<string>, path: string, errors: FieldErrors): void {
  if (!name) errors.required(path);
  else {
    form(name, dnsLabel(name), path, errors);
    if (names.has(name)) errors.duplicate(path, name);
    names.add(name);
  }
}

/** SetDefaults_ExactDeviceRequest, SetDefaults_DeviceSubRequest and SetDefaults_DeviceToleration. */
function defaultClaim(devices: V1DeviceClaim | undefined): void {
  for (const request of devices?.requests ?? [])
    for (const wanted of [...(request.exactly ? [request.exactly] : []), ...(request.firstAvailable ?? [])]) {
      wanted.allocationMode ??= "ExactCount";
      if (wanted.allocationMode === "ExactCount") wanted.count ??= 1;
      for (const toleration of wanted.tolerations ?? []) toleration.operator ??= "Equal";
    }
}

function validateClaim(devices: V1DeviceClaim | undefined, path: string, errors: FieldErrors): void {
  const { requests = [], constraints = [], config = [] } = devices ?? {};
  for (const [field, list] of Object.entries({ requests, constraints, config }))
    if (list.length > listLimit) errors.tooMany(`${path}.${field}`, list.length, listLimit);
  const names = new Set<string>();
  requests.forEach((request, i) => {
    validateName(request.name, names, `${path}.requests[${i}].name`, errors);
    validateRequest(request, `${path}.requests[${i}]`, errors);
  });
  const known = (request: string, at: string) => {
    if (!names.has(request.split("/")[0] ?? ""))
      errors.invalid(
        at,
        request,
        "must be the name of a request in the claim or the name of a request and a subrequest",
      );
  };
  constraints.forEach((constraint, i) => {
    const at = `${path}.constraints[${i}]`;
    constraint.requests?.forEach((request, n) => {
      known(request, `${at}.requests[${n}]`);
    });
    if (!constraint.matchAttribute && !constraint.distinctAttribute)
      errors.required(at, "exactly one of `matchAttribute` or `distinctAttribute` is required");
  });
  config.forEach((one, i) => {
    one.requests?.forEach((request, n) => {
      known(request, `${path}.config[${i}].requests[${n}]`);
    });
    validateConfig(one, `${path}.config[${i}]`, errors);
  });
}

function validateRequest({ exactly, firstAvailable }: V1DeviceRequest, path: string, errors: FieldErrors): void {
  const several = (firstAvailable?.length ?? 0) > 0;
  const one = "exactly one of `exactly` or `firstAvailable` is required";
  if (!exactly && !several) errors.required(path, one);
  if (exactly && several) errors.invalid(path, "{exactly, firstAvailable}", `${one}, but multiple fields are set`);
  if (exactly) validateWanted(exactly, `${path}.exactly`, errors);
  const names = new Set<string>();
  firstAvailable?.forEach((wanted, i) => {
    validateName(wanted.name, names, `${path}.firstAvailable[${i}].name`, errors);
    validateWanted(wanted, `${path}.firstAvailable[${i}]`, errors);
  });
}

interface Wanted {
  readonly deviceClassName?: string;
  readonly selectors?: readonly V1DeviceSelector[];
  readonly allocationMode?: string;
  readonly count?: number;
}

function validateWanted(wanted: Wanted, path: string, errors: FieldErrors): void {
  const { deviceClassName = "", allocationMode = "", count = 0 } = wanted;
  if (deviceClassName === "") errors.required(`${path}.deviceClassName`);
  else form(deviceClassName, dnsSubdomain(deviceClassName), `${path}.deviceClassName`, errors);
  validateSelectors(wanted.selectors, `${path}.selectors`, errors);
  oneOf(allocationMode, ["All", "ExactCount"], `${path}.allocationMode`, errors);
  if (allocationMode === "All" && count !== 0)
    errors.invalid(`${path}.count`, count, "must not be specified when allocationMode is 'All'");
  if (allocationMode === "ExactCount" && count <= 0)
    errors.invalid(`${path}.count`, count, "must be greater than zero");
}

function validateSelectors(
  selectors: readonly V1DeviceSelector[] | undefined,
  path: string,
  errors: FieldErrors,
): void {
  if ((selectors?.length ?? 0) > listLimit) errors.tooMany(path, selectors?.length ?? 0, listLimit);
  selectors?.forEach(({ cel }, i) => {
    if (!cel) errors.required(`${path}[${i}].cel`);
    else if (!cel.expression) errors.required(`${path}[${i}].cel.expression`);
  });
}

function validateConfig(
  { opaque }: { opaque?: { driver?: string; parameters?: object } },
  path: string,
  errors: FieldErrors,
): void {
  if (!opaque) return errors.required(`${path}.opaque`);
  validateDriver(opaque.driver ?? "", `${path}.opaque.driver`, errors);
  if (opaque.parameters === undefined) errors.required(`${path}.opaque.parameters`);
}
