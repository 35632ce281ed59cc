import { type AdmissionPlugin, absentPlugins, admissionPlugins } from "#apiserver/index.ts";
import { FlagError, type FlagReader } from "./flagReader.ts";

const isThere = (name: string): name is AdmissionPlugin => (admissionPlugins as readonly string[]).includes(name);

/**
 * The plugins that --disable-admission-plugins turns off.
 * @throws FlagError with kube-apiserver's words, and where one is asked for that is not there
 */
export function disabledPlugins(flags: FlagReader): AdmissionPlugin[] {
  const enabled = flags.list("enable-admission-plugins");
  const disabled = flags.list("disable-admission-plugins");
  for (const [flag, names] of Object.entries({ enable: enabled, disable: disabled })) {
    const unknown = names.find((name) => !isThere(name) && !absentPlugins.includes(name));
    if (unknown !== undefined)
      throw new FlagError(`${flag}-admission-plugins plugin ${JSON.stringify(unknown)} is unknown`);
  }
  const both = [...new Set(enabled)].filter((name) => disabled.includes(name)).sort();
  if (both.length > 0)
    throw new FlagError(`[${both.join(" ")}] in enable-admission-plugins and disable-admission-plugins overlapped`);
  const missing = enabled.filter((name) => !isThere(name));
  if (missing.length > 0)
    throw flags.error(
      "enable-admission-plugins",
      `${missing.join(", ")} not there; those that are there: ${admissionPlugins.join(", ")}`,
    );
  return disabled.filter(isThere);
}
