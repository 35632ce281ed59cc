import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Result, run } from "./cluster.ts";
import { checkout } from "./installation.ts";

/**
 * The program that runs a shell script as root under another Linux kernel, over this machine's files: a User-Mode
 * Linux, slow, for function only. Undefined where there is none.
 */
export function guestProgram(): string | undefined {
  const path = process.env["PODWIRE_TEST_GUEST"] ?? join(checkout, "../shared/tools/guest/guest");
  // Its first process is busybox.
  return existsSync(path) && existsSync("/bin/busybox") ? path : undefined;
}

/** Runs a script in the guest; /tmp and /run are its own and empty. */
export function inGuest(guest: string, script: string, seconds: number): Promise<Result> {
  return run(guest, ["-t", String(seconds), script], { env: process.env, timeout: (seconds + 10) * 1000 });
}

/** What a run of vitest in the guest came to. */
export interface GuestReport {
  readonly passed: number;
  /** Names and messages of what failed. */
  readonly failed: readonly string[];
}

/** The parts of vitest's JSON report that are looked at. */
interface JsonReport {
  readonly testResults: readonly {
    readonly message?: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages?: readonly string[];
    }[];
  }[];
}

/** Runs tests of this checkout in the guest, in one boot. @param args vitest's: files, `-t` */
export async function vitestInGuest(guest: string, args: readonly string[], seconds: number): Promise<GuestReport> {
  const quoted = args.map((arg) => `'${arg}'`).join(" ");
  // Its kernel puts tunnel devices into every new network namespace; tests number their devices themselves.
  const script = `
sysctl -q -w net.core.fb_tunnels_only_for_init_net=1
cd ${checkout}
export PODWIRE_BUNDLES=made PODWIRE_TOOLS=${process.env["PODWIRE_TOOLS"] ?? ""} PODWIRE_LONG=${process.env["PODWIRE_LONG"] ?? ""}
scripts/node node_modules/.bin/vitest run --project kernel --reporter=json --outputFile=/tmp/report --testTimeout=60000 ${quoted} >&2
cat /tmp/report
`;
  const { stdout, stderr } = await inGuest(guest, script, seconds);
  if (!stdout.startsWith("{")) return { passed: 0, failed: [`no report: ${stdout}${stderr}`] };
  const { testResults } = JSON.parse(stdout) as JsonReport;
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
  const failed = tests.filter(({ status }) => status === "failed");
  return {
    passed: tests.filter(({ status }) => status === "passed").length,
    failed: [
      ...testResults.flatMap(({ message }) => (message ? [message] : [])),
      ...failed.map(({ fullName, failureMessages }) => `${fullName}: ${failureMessages?.join("; ") ?? ""}`),
    ],
  };
}
