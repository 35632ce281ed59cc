import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { createLogger } from "#base/log.ts";
import { Metrics } from "#base/metrics.ts";
import { DnsServer } from "#dns/index.ts";

/**
 * Serves the Corefile that the first word names and runs the shell commands of the others; their outputs are printed as
 * JSON. For a network namespace of a test's own.
 */
const [corefile = "", ...commands] = process.argv.slice(2);
const server = new DnsServer(
  { corefile },
  {
    log: createLogger("dns"),
    metrics: new Metrics(),
    environment: {},
    fatal: (message) => {
      throw new Error(message);
    },
  },
);
await server.start();
const outputs: string[] = [];
for (const command of commands) {
  const { stdout } = await promisify(execFile)("sh", ["-c", command], { timeout: 20_000 });
  outputs.push(stdout);
}
await server.stop(true);
process.stdout.write(JSON.stringify(outputs));
