import type { V1PersistentVolumeClaimSpec } from "@kubernetes/client-node";
import { parseQuantity } from "#base/quantity.ts";
import type { FieldErrors } from "../errors.ts";
import { form, oneOfOrNone, validateLabelSelector } from "./checks.ts";
import { dnsSubdomain } from "./names.ts";

/** What a volume can be used for. */
export const accessModes = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

/** Access modes of a volume or claim. @param missing what is said when there is none */
export function validateAccessModes(
  modes: readonly string[] | undefined,
  missing: string,
  path: string,
  errors: FieldErrors,
): void {
  if (!modes?.length) errors.required(path, missing);
  for (const mode of modes ?? []) if (!accessModes.includes(mode)) errors.unsupported(path, mode, accessModes);
  if ((modes?.length ?? 0) > 1 && modes?.includes("ReadWriteOncePod"))
    errors.forbidden(path, "may not use ReadWriteOncePod with other access modes");
}

/** Validates a claim's spec (ValidatePersistentVolumeClaimSpec of core/validation). */
export function validateClaimSpec(
  spec: V1PersistentVolumeClaimSpec | undefined,
  path: string,
  errors: FieldErrors,
): void {
  validateLabelSelector(spec?.selector, `${path}.selector`, errors);
  validateAccessModes(spec?.accessModes, "at least 1 access mode is required", `${path}.accessModes`, errors);
  const storage = spec?.resources?.requests?.storage;
  if (storage === undefined) errors.required(`${path}.resources[storage]`);
  else if (parseQuantity(storage).unscaled <= 0n)
    errors.invalid(`${path}.resources[storage]`, storage, "must be greater than zero");
  const { storageClassName, volumeAttributesClassName, volumeMode } = spec ?? {};
  if (storageClassName) form(storageClassName, dnsSubdomain(storageClassName), `${path}.storageClassName`, errors);
  oneOfOrNone(volumeMode, ["Block", "Filesystem"], `${path}.volumeMode`, errors);
  if (volumeAttributesClassName)
    form(
      volumeAttributesClassName,
      dnsSubdomain(volumeAttributesClassName),
      `${path}.volumeAttributesClassName`,
      errors,
    );
}
