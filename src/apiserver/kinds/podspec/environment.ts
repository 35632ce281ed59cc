import type { V1Container, V1EnvVar } from "@kubernetes/client-node";
import type { FieldErrors } from "../../errors.ts";
import { form } from "../checks.ts";
import { dnsSubdomain, envName } from "../names.ts";
import { envFields, validateFieldRef, validateKey, validateResourceFieldRef } from "./names.ts";

const sources = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"] as const;

/** Environment variables of a container (ValidateEnv, ValidateEnvFrom). */
export function validateEnvironment(container: V1Container, path: string, errors: FieldErrors): void {
  container.env?.forEach((env, i) => {
    const at = `${path}.env[${i}]`;
    if (!env.name) errors.required(`${at}.name`);
    else form(env.name, envName(env.name), `${at}.name`, errors);
    if (env.valueFrom) validateSource(env, `${at}.valueFrom`, errors);
  });
  container.envFrom?.forEach((source, i) => {
    const at = `${path}.envFrom[${i}]`;
    if (source.prefix) form(source.prefix, envName(source.prefix), `${at}.prefix`, errors);
    const given = (["configMapRef", "secretRef"] as const).filter((name) => source[name]);
    for (const name of given) {
      const of = source[name]?.name;
      if (!of) errors.required(`${at}.${name}.name`);
      else form(of, dnsSubdomain(of), `${at}.${name}.name`, errors);
    }
    // Upstream names the whole list here.
    if (given.length === 0) errors.invalid(`${path}.envFrom`, "", "must specify one of: `configMapRef` or `secretRef`");
    if (given.length > 1) errors.invalid(`${path}.envFrom`, "", "may not have more than one field specified at a time");
  });
}

function validateSource({ value, valueFrom }: V1EnvVar, path: string, errors: FieldErrors): void {
  const given = sources.filter((name) => valueFrom?.[name]);
  if (valueFrom?.fieldRef) validateFieldRef(valueFrom.fieldRef, envFields, `${path}.fieldRef`, errors);
  if (valueFrom?.resourceFieldRef)
    validateResourceFieldRef(valueFrom.resourceFieldRef, false, `${path}.resourceFieldRef`, errors);
  for (const name of ["configMapKeyRef", "secretKeyRef"] as const) {
    const ref = valueFrom?.[name];
    if (!ref) continue;
    form(ref.name ?? "", dnsSubdomain(ref.name ?? ""), `${path}.${name}.name`, errors);
    validateKey(ref.key, `${path}.${name}.key`, errors);
  }
  if (given.length === 0)
    errors.invalid(
      path,
      "",
      "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
    );
  else if (value) errors.invalid(path, "", "may not be specified when `value` is not empty");
  else if (given.length > 1) errors.invalid(path, "", "may not have more than one field specified at a time");
}
