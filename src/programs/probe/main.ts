import { createInterface } from "node:readline";
import { Probe, type ProbeOrder } from "#check/index.ts";

/**
 * One node's part of `podwire check`, which starts it on each node and talks to it in lines: an order as JSON on
 * standard input, "ready" back; "go", a report as JSON back; the end of the input ends it.
 */
async function main(): Promise<void> {
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done) process.exit(0);
    return value as string;
  };
  const probe = new Probe(JSON.parse(await next()) as ProbeOrder);
  probe.open();
  process.stdout.write("ready\n");
  await next();
  process.stdout.write(`${JSON.stringify(await probe.run())}\n`);
  // Others may still be asking: sockets stay open until everybody is done.
  await next();
}

main().catch((error: unknown) => {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exit(1);
});
