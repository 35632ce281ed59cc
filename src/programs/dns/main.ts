import { runDns } from "./run.ts";

/** The DNS server of a pod: see {@link runDns}. */
async function main(): Promise<void> {
  process.exit(await runDns(process.argv.slice(2)));
}

void main();
