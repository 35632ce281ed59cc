import { PodwireError } from "#base/errors.ts";

/** `podwire check` */
export async function runCheck(what: string, _flags: { readonly name: string; readonly json?: boolean }): Promise<number> {
  throw new PodwireError("InvalidConfig", `check ${what}: allowed are pods, ports, all`);
}
