import { CNI_ERROR, CniError } from "../errors.ts";

/** Versions of the CNI specification that plugins and runtime speak, oldest first. */
export const SUPPORTED_VERSIONS = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] as const;

/** The version a configuration has when it names none (SPEC.md 0.1.0). */
export const DEFAULT_VERSION = "0.1.0";

/** The newest version, in which results are kept inside. */
export const CURRENT_VERSION = "1.1.0";

/** @throws CniError INCOMPATIBLE_VERSION */
export function checkVersion(version: string): void {
  if ((SUPPORTED_VERSIONS as readonly string[]).includes(version)) return;
  throw new CniError(
    CNI_ERROR.INCOMPATIBLE_VERSION,
    "incompatible CNI versions",
    `config is "${version}", plugin supports ${SUPPORTED_VERSIONS.join(", ")}`,
  );
}

/** Whether `version` is at least `least`, both as in {@link SUPPORTED_VERSIONS}. */
export function atLeast(version: string, least: (typeof SUPPORTED_VERSIONS)[number]): boolean {
  const order: readonly string[] = SUPPORTED_VERSIONS;
  return order.indexOf(version) >= order.indexOf(least);
}
