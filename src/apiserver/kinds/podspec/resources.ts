import type { V1ResourceRequirements } from "@kubernetes/client-node";
import { compareQuantities, parseQuantity, scaledQuantity } from "#base/quantity.ts";
import type { FieldErrors } from "../../errors.ts";
import { form, notNegative } from "../checks.ts";
import { qualifiedName } from "../names.ts";

/** Requests and limits (ValidateResourceRequirements of core/validation). */

const huge = (name: string) => name.startsWith("hugepages-");
const native = (name: string) => !name.includes("/") || name.startsWith("kubernetes.io/");
/** Native resources may be promised to more than there is; others may not. */
const overcommit = (name: string) => native(name) && !huge(name);

/** Validates a container's resources. */
export function validateResources(
  resources: V1ResourceRequirements | undefined,
  path: string,
  errors: FieldErrors,
): void {
  const { limits = {}, requests = {} } = resources ?? {};
  for (const [name, value] of Object.entries(limits)) validateAmount(name, value, `${path}.limits[${name}]`, errors);
  for (const [name, value] of Object.entries(requests)) {
    validateAmount(name, value, `${path}.requests[${name}]`, errors);
    const limit = limits[name];
    if (limit === undefined) {
      if (!overcommit(name)) errors.required(`${path}.limits`, "Limit must be set for non overcommitable resources");
      continue;
    }
    const order = compareQuantities(parseQuantity(value), parseQuantity(limit));
    if (order !== 0 && !overcommit(name))
      errors.invalid(`${path}.requests`, value, `must be equal to ${name} limit of ${limit}`);
    else if (order > 0)
      errors.invalid(`${path}.requests`, value, `must be less than or equal to ${name} limit of ${limit}`);
  }
  const names = [...Object.keys(limits), ...Object.keys(requests)];
  if (names.some(huge) && !names.some((name) => name === "cpu" || name === "memory"))
    errors.forbidden(path, "HugePages require cpu or memory");
}

function validateAmount(name: string, value: string, path: string, errors: FieldErrors): void {
  form(name, qualifiedName(name), path, errors);
  if (!name.includes("/") && !["cpu", "memory", "ephemeral-storage"].includes(name) && !huge(name)) {
    errors.invalid(path, name, "must be a standard resource type or fully qualified");
    errors.invalid(path, name, "must be a standard resource for containers");
  } else if (native(name) && name.includes("/"))
    errors.invalid(path, name, "doesn't follow extended resource name standard");
  const amount = parseQuantity(value);
  if (amount.unscaled < 0n) errors.invalid(path, value, notNegative);
  if (!native(name) && scaledQuantity(amount, -3) % 1000n !== 0n) errors.invalid(path, value, "must be an integer");
}
