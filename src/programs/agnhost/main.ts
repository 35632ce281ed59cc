import { parseArgs } from "node:util";
import { connect } from "./dial.ts";
import { netexec, porter, serveHostname } from "./netexec.ts";

const COMMANDS = "connect, netexec, pause, porter, serve-hostname";
const OPTIONS = {
  "http-port": { type: "string", default: "8080" },
  "udp-port": { type: "string", default: "8081" },
  port: { type: "string", default: "9376" },
  timeout: { type: "string", default: "0" },
  protocol: { type: "string", default: "tcp" },
  http: { type: "string" },
} as const;

/** A duration of Go's: `1s`, `500ms`, `1m30s`. @returns milliseconds */
function milliseconds(text: string): number {
  const units: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };
  return [...text.matchAll(/([\d.]+)(ms|h|m|s)/g)].reduce(
    (sum, [, n, unit]) => sum + Number(n) * (units[unit ?? ""] ?? 0),
    0,
  );
}

/**
 * What the template of agnhost, the image of Kubernetes' own network tests, runs: those of its commands that tests of
 * networks use, with the same flags and answers (kubernetes/test/images/agnhost/README.md).
 */
async function main(): Promise<void> {
  const [command = "pause", ...args] = process.argv.slice(2);
  const { values, positionals } = parseArgs({ args, options: OPTIONS, allowPositionals: true });
  // The first process of a pid namespace has no default actions.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(0));
  if (command === "netexec") return netexec(Number(values["http-port"]), Number(values["udp-port"]));
  if (command === "serve-hostname") return serveHostname(Number(values.port));
  if (command === "porter") return porter(process.env);
  if (command === "pause") {
    console.log("Paused");
    setInterval(() => undefined, 2 ** 30);
    return;
  }
  if (command !== "connect" || values.protocol !== "tcp")
    throw new Error(
      `unknown command "${command}" (protocol ${values.protocol}): this agnhost has ${COMMANDS}, connect by tcp alone`,
    );
  const verdict = await connect(positionals[0] ?? "", milliseconds(values.timeout));
  if (verdict === undefined) return;
  process.stderr.write(`${verdict}\n`);
  process.exit(1);
}

main().catch((error: unknown) => {
  process.stderr.write(`agnhost: ${(error as Error).message}\n`);
  process.exit(1);
});
