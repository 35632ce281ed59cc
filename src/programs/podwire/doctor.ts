import { PodwireError } from "#base/errors.ts";

/** `podwire doctor` */
export async function runDoctorCommand(_flags: { readonly json?: boolean }): Promise<number> {
  throw new PodwireError("NotBundled", "doctor comes with the next bundle");
}
