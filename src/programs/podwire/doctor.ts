import { formatDoctor, runDoctor } from "#lab/doctor/index.ts";

/** `podwire doctor` @returns 0 when a cluster can run on this machine */
export async function runDoctorCommand(flags: { readonly json?: boolean }): Promise<number> {
  const report = await runDoctor();
  process.stdout.write(flags.json ? `${JSON.stringify(report, null, 2)}\n` : formatDoctor(report));
  return report.verdict === "fail" ? 1 : 0;
}
