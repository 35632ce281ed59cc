import type { V1ConfigMap, V1Secret, V1ServiceAccount } from "@kubernetes/client-node";
import { errorMessage } from "#base/errors.ts";
import { equalJson } from "#base/json.ts";
import type { FieldErrors } from "../errors.ts";
import type { StoredObject } from "../object.ts";
import { readJson } from "../rest/go-json.ts";
import { columns, defineKind } from "./define.ts";
import type { Stored } from "./definition.ts";
import { immutable } from "./metadata.ts";
import { configKey } from "./names.ts";
import { age } from "./print.ts";

/** The limit of a ConfigMap's or Secret's data (core MaxSecretSize). */
const dataLimit = 1024 * 1024;

type ConfigMap = Stored<V1ConfigMap>;

/** core/v1 ConfigMap. */
export const configMap = defineKind<ConfigMap>({
  group: "",
  kind: "ConfigMap",
  plural: "configmaps",
  type: "core.v1.ConfigMap",
  shortNames: ["cm"],
  columns: columns("Name", "Data#", "Age"),
  row: (o, now) => [
    o.metadata.name,
    Object.keys(o.data ?? {}).length + Object.keys(o.binaryData ?? {}).length,
    age(o.metadata.creationTimestamp, now),
  ],
  validate(o, errors) {
    let size = 0;
    for (const [field, data] of [
      ["data", o.data],
      ["binaryData", o.binaryData],
    ] as const) {
      for (const [key, value] of Object.entries(data ?? {})) {
        for (const problem of configKey(key)) errors.invalid(`${field}[${key}]`, key, problem);
        size += Buffer.byteLength(value);
      }
    }
    for (const key of Object.keys(o.data ?? {})) {
      if (o.binaryData?.[key] !== undefined)
        errors.invalid(`data[${key}]`, key, "duplicate of key present in binaryData");
    }
    // Upstream builds the path from an empty name.
    if (size > dataLimit) errors.tooLong("[]", dataLimit);
  },
  validateUpdate(o, old, errors) {
    frozen(o, old, ["data", "binaryData"], errors);
  },
});

/** `immutable: true` stays, and with it the data. */
function frozen(o: StoredObject, old: StoredObject, fields: readonly string[], errors: FieldErrors): void {
  if (old.immutable !== true) return;
  if (o.immutable !== true) errors.forbidden("immutable", "field is immutable when `immutable` is set");
  for (const field of fields) {
    if (!equalJson(o[field], old[field])) errors.forbidden(field, "field is immutable when `immutable` is set");
  }
}

type Secret = Stored<V1Secret>;

const requiredKeys: Readonly<Record<string, readonly string[]>> = {
  "kubernetes.io/tls": ["tls.crt", "tls.key"],
  "kubernetes.io/dockerconfigjson": [".dockerconfigjson"],
  "kubernetes.io/dockercfg": [".dockercfg"],
  "kubernetes.io/ssh-auth": ["ssh-privatekey"],
};

/** core/v1 Secret; stringData is turned into data. */
export const secret = defineKind<Secret>({
  group: "",
  kind: "Secret",
  plural: "secrets",
  type: "core.v1.Secret",
  columns: columns("Name", "Type", "Data#", "Age"),
  row: (o, now) => [
    o.metadata.name,
    o.type ?? "",
    Object.keys(o.data ?? {}).length,
    age(o.metadata.creationTimestamp, now),
  ],
  selectableFields: ["type"],
  selectable: (o) => ({ type: o.type ?? "" }),
  defaults(o) {
    o.type ??= "Opaque";
    for (const [key, value] of Object.entries(o.stringData ?? {})) {
      o.data = { ...o.data, [key]: Buffer.from(value).toString("base64") };
    }
    delete o.stringData;
  },
  validate(o, errors, { old }) {
    // Before what the new type wants, as upstream has it.
    if (old) immutable(o.type, old.type, "type", errors);
    let size = 0;
    for (const [key, value] of Object.entries(o.data ?? {})) {
      for (const problem of configKey(key)) errors.invalid(`data[${key}]`, key, problem);
      size += (value.length * 3) / 4;
    }
    if (size > dataLimit) errors.tooLong("data", dataLimit);
    validateSecretType(o, errors);
    if (
      o.type === "kubernetes.io/service-account-token" &&
      !o.metadata.annotations?.["kubernetes.io/service-account.name"]
    ) {
      errors.required("metadata.annotations[kubernetes.io/service-account.name]");
    }
  },
  validateUpdate(o, old, errors) {
    frozen(o, old, ["data"], errors);
  },
});

const redacted = "<secret contents redacted>";

/** What a Secret of a known type has to hold. */
function validateSecretType(o: Secret, errors: FieldErrors): void {
  for (const key of requiredKeys[o.type ?? ""] ?? []) if (o.data?.[key] === undefined) errors.required(`data[${key}]`);
  if (o.type === "kubernetes.io/basic-auth" && o.data?.username === undefined && o.data?.password === undefined) {
    errors.required("data[username]");
    errors.required("data[password]");
  }
  for (const key of [".dockerconfigjson", ".dockercfg"]) {
    if (o.type !== `kubernetes.io/${key.slice(1)}` || o.data?.[key] === undefined) continue;
    try {
      readJson(Buffer.from(o.data[key], "base64"));
    } catch (error) {
      errors.invalid(`data[${key}]`, redacted, errorMessage(error));
    }
  }
}

type ServiceAccount = Stored<V1ServiceAccount>;

/** core/v1 ServiceAccount. */
export const serviceAccount = defineKind<ServiceAccount>({
  group: "",
  kind: "ServiceAccount",
  plural: "serviceaccounts",
  type: "core.v1.ServiceAccount",
  shortNames: ["sa"],
  subresources: { token: { kind: "TokenRequest", group: "authentication.k8s.io", version: "v1", verbs: ["create"] } },
  columns: columns("Name", "Secrets#", "Age"),
  row: (o, now) => [o.metadata.name, o.secrets?.length ?? 0, age(o.metadata.creationTimestamp, now)],
  warnings: ({ metadata }) =>
    metadata.annotations?.["kubernetes.io/enforce-mountable-secrets"] === undefined
      ? []
      : [
          "metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets",
        ],
});
