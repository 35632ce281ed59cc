import { readFile, rm, writeFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { errorMessage, hasCode } from "#base/errors.ts";
import { createLogger, type Logger } from "#base/log.ts";
import { Metrics } from "#base/metrics.ts";
import { version } from "#base/version.ts";
import { DnsServer, pluginOrder, type ServerOptions } from "#dns/index.ts";
import { type DnsFlags, dnsUsage, FlagError, parseDnsFlags } from "./flags.ts";

/** What the pid file of this process holds. */
const pidText = `${process.pid}\n`;

/**
 * The DNS server as a program: `podwire dns`, or `/coredns` in a pod. SIGTERM and SIGINT end it (after the lameduck
 * time; a second one at once), SIGQUIT at once, SIGUSR1 reads the Corefile again, SIGHUP is passed over, as in CoreDNS.
 * Resolves with the exit code.
 */
export async function runDns(argv: readonly string[]): Promise<number> {
  let flags: DnsFlags;
  try {
    flags = parseDnsFlags(argv);
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    process.stderr.write(`dns: ${error.message}\n`);
    return 2;
  }
  if (flags.show) {
    process.stdout.write(shown(flags.show));
    return 0;
  }
  const log = createLogger("dns", flags.quiet ? { level: "warn" } : {});
  try {
    return await serve(flags, log);
  } finally {
    if (flags.pidfile !== undefined) await removeOwnPidfile(flags.pidfile);
  }
}

/** Leaves the file of another instance, as one that runs already and has the ports. */
async function removeOwnPidfile(file: string): Promise<void> {
  const written = await readFile(file, "utf8").catch(() => "");
  if (written === pidText) await rm(file, { force: true });
}

function shown(what: NonNullable<DnsFlags["show"]>): string {
  if (what === "help") return dnsUsage;
  if (what === "version") return `Podwire-${version}\nlinux/${process.arch}, node ${process.versions.node}\n`;
  return `Server types:\n  dns\n\nPlugins, in the order that a request passes them:\n${pluginOrder.map(({ name }) => `  ${name}\n`).join("")}`;
}

async function serve(flags: DnsFlags, log: Logger): Promise<number> {
  const failed = Promise.withResolvers<number>();
  const server = new DnsServer(
    { corefile: flags.corefile, defaultPort: flags.port, ...(await inputOf(flags)) },
    {
      log,
      metrics: new Metrics(),
      environment: process.env,
      fatal: () => failed.resolve(1),
    },
  );
  try {
    await server.start();
    if (flags.pidfile !== undefined) await writeFile(flags.pidfile, pidText);
  } catch (error) {
    process.stderr.write(`dns: ${startError(error, flags)}\n`);
    await server.stop(true);
    return 1;
  }
  const code = await Promise.race([untilSignal(server, log), failed.promise]);
  await server.stop(true);
  return code;
}

/** With `-conf stdin` all of standard input. */
async function inputOf({ corefile }: DnsFlags): Promise<Pick<ServerOptions, "corefileText" | "fixedText">> {
  return corefile === "stdin" ? { corefileText: await text(process.stdin), fixedText: true } : {};
}

/** Why the server does not start, and what to do about it. */
function startError(error: unknown, flags: DnsFlags): string {
  if (hasCode(error, "ENOENT") && (error as NodeJS.ErrnoException).path === flags.corefile)
    return `there is no ${flags.corefile}; name one with -conf FILE`;
  const elsewhere = "choose another one in the Corefile or with -dns.port N";
  if (hasCode(error, "EACCES")) return `${errorMessage(error)}; this port is for root alone: ${elsewhere}`;
  if (hasCode(error, "EADDRINUSE")) return `${errorMessage(error)}; another program has this port: ${elsewhere}`;
  return errorMessage(error);
}

/** Resolves when the server has ended after a signal. */
function untilSignal(server: DnsServer, log: Logger): Promise<number> {
  return new Promise((resolve) => {
    let ending = false;
    const end = (signal: NodeJS.Signals) => {
      log.info(`${signal}: ${ending ? "Ending at once" : "Shutting down"}`);
      // CoreDNS takes its time on SIGTERM, none on Ctrl-C.
      const atOnce = ending || signal !== "SIGTERM";
      ending = true;
      if (atOnce) resolve(0);
      else void server.stop().then(() => resolve(0));
    };
    process.on("SIGTERM", end);
    process.on("SIGINT", end);
    process.on("SIGQUIT", end);
    process.on("SIGHUP", () => {}); // a terminal that goes away is no reason to end
    process.on("SIGUSR1", () => {
      void server.reload().catch((error: unknown) => log.error("Reload failed", { error: errorMessage(error) }));
    });
  });
}
