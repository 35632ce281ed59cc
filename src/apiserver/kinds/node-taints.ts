import type { V1Taint } from "@kubernetes/client-node";
import type { FieldErrors } from "../errors.ts";
import { form, oneOf } from "./checks.ts";
import { labelValue, qualifiedName } from "./names.ts";

/** Taints of a node (validateNodeTaints of core/validation, which has them below metadata). */
export function validateTaints(taints: readonly V1Taint[] | undefined, path: string, errors: FieldErrors): void {
  const seen = new Set<string>();
  taints?.forEach((taint, i) => {
    const at = `${path}[${i}]`;
    form(taint.key ?? "", qualifiedName(taint.key ?? ""), `${at}.key`, errors);
    const problems = labelValue(taint.value ?? "");
    if (problems.length > 0) errors.invalid(`${at}.value`, taint.value, problems.join(";"));
    oneOf(taint.effect, ["NoExecute", "NoSchedule", "PreferNoSchedule"], `${at}.effect`, errors);
    const pair = `${taint.key} ${taint.effect}`;
    if (seen.has(pair))
      errors.duplicate(
        at,
        { Key: taint.key, Value: taint.value ?? "", Effect: taint.effect, TimeAdded: taint.timeAdded ?? null },
        "taints must be unique by key and effect pair",
      );
    seen.add(pair);
  });
}
