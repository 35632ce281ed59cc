import { join } from "node:path";
import { Client } from "#api/index.ts";
import { type ApiServer, type ApiServerOptions, controllerUser, createApiServer } from "#apiserver/index.ts";
import { errorMessage } from "#base/errors.ts";
import { createLogger, type Logger } from "#base/log.ts";
import { createFileLogger, createStderrLogger } from "#base/logFile.ts";
import { type Controllers, startControllers } from "#controllers/index.ts";
import { showCommandLine } from "#kernel/process/index.ts";
import { authenticationOptions } from "./authentication.ts";
import { type DataDir, openDataDir } from "./dataDir.ts";
import { FlagError, type Flags, parseFlags } from "./flags.ts";
import { serveHealth } from "./health.ts";
import { mayReadMetrics } from "./metrics-access.ts";
import { advertisedAddress, type Credentials, credentials } from "./selfMade.ts";

/** How every port of this process serves. */
function servingTls(flags: Flags, { tls }: Credentials): ApiServerOptions["tls"] {
  return { ...tls, minVersion: flags.tlsMinVersion, ...(flags.tlsCiphers ? { ciphers: flags.tlsCiphers } : {}) };
}

function serverOptions(flags: Flags, given: Credentials, data: DataDir | undefined): ApiServerOptions {
  const [issuer = "", ...otherIssuers] = flags.serviceAccountIssuers;
  const { serviceAccountJwksUri: jwksUri, serviceAccountMaxSeconds: maxSeconds } = flags;
  const host = flags.bindAddress ?? (flags.advertiseAddress ? "0.0.0.0" : "127.0.0.1");
  return {
    ...(flags.listenFd.length ? { listenFds: flags.listenFd } : { listen: { host, port: flags.securePort } }),
    advertiseAddress: advertisedAddress(flags),
    securePort: flags.securePort,
    tls: servingTls(flags, given),
    clientCa: given.clientCa,
    serviceAccounts: {
      issuer,
      otherIssuers,
      signingKey: given.signingKey,
      verificationKeys: given.verificationKeys,
      extend: flags.serviceAccountExtend,
      ...(flags.apiAudiences.length ? { audiences: flags.apiAudiences } : {}),
      ...(jwksUri ? { jwksUri } : {}),
      ...(maxSeconds === undefined ? {} : { maxSeconds }),
    },
    authentication: authenticationOptions(flags),
    disabledPlugins: flags.disabledPlugins,
    authorization: flags.authorizationMode,
    ...(given.kubelet ? { kubelet: given.kubelet } : {}),
    services: { cidrs: flags.serviceClusterIpRange, nodePorts: flags.serviceNodePortRange },
    eventTtlSeconds: flags.eventTtlSeconds,
    ...(data ? { store: { logFile: data.logFile, durability: flags.durability } } : {}),
  };
}

interface Logs {
  readonly server: Logger;
  /** The log of a part of this process that elsewhere is a program of its own. */
  of(component: string): Logger;
}

function logs({ logDir, verbosity }: Flags): Logs {
  const level = verbosity >= 4 ? "debug" : "info";
  const server = logDir
    ? createStderrLogger("kube-apiserver", join(logDir, "kube-apiserver.log"))
    : createLogger("kube-apiserver", { level });
  const of = (component: string) =>
    logDir ? createFileLogger(component, join(logDir, `${component}.log`)) : server.child(component);
  return { server, of };
}

/** Starts the controllers and the scheduler, and their health ports. @returns stops them */
async function runControllers(
  flags: Flags,
  server: ApiServer,
  given: Credentials,
  log: Logs,
): Promise<() => Promise<void>> {
  const schedulerLog = log.of("kube-scheduler");
  const controllersLog = log.of("kube-controller-manager");
  const controllers: Controllers = await startControllers({
    client: new Client(server.localTransport(controllerUser), { userAgent: "kube-controller-manager" }),
    log: controllersLog,
    schedulerLog,
    options: {
      podCidrs: flags.clusterCidr,
      nodeCidrMaskSize: flags.nodeCidrMaskSize,
      serviceCidrs: flags.serviceClusterIpRange,
      clusterCaPem: given.servingCa,
      apiAddress: { host: advertisedAddress(flags), port: flags.securePort },
      nodeOrder: flags.nodeOrder,
    },
  });
  controllersLog.info("Controllers are running", { clusterCIDR: flags.clusterCidr.join(",") });
  schedulerLog.info("The scheduler is running", { schedulerName: "default-scheduler" });
  const health = () => {
    const state = controllers.health();
    return { ok: state.ok, text: state.ok ? "ok" : JSON.stringify(state) };
  };
  const reviewer = new Client(server.localTransport(controllerUser), { userAgent: "kube-controller-manager" });
  const closeHealth = serveHealth(servingTls(flags, given), {
    log: log.server,
    health,
    mayRead: (token) => mayReadMetrics(reviewer, token),
    metrics: (program) => controllers.metrics(program === "kube-scheduler" ? "scheduler" : "controllers"),
  });
  return async () => {
    await closeHealth();
    await controllers.stop();
  };
}

/** Says where the server is, on standard output: a script waits for this line. */
function announce(flags: Flags, server: ApiServer, given: Credentials): void {
  if (!server.address) return;
  const { host, port } = server.address;
  const shown = host === "0.0.0.0" || host === "::" ? advertisedAddress(flags) : host;
  const url = `https://${shown.includes(":") ? `[${shown}]` : shown}:${port}`;
  const file = given.writeKubeconfig(url);
  process.stdout.write(`Serving at ${url}${file ? `; the administrator's kubeconfig is ${file}` : ""}\n`);
}

/** The control plane, or the API alone: `kube-apiserver [--data-dir=…] [--secure-port=…] …`. */
async function main(): Promise<void> {
  const args = process.argv.slice(2);
  const flags = parseFlags(args);
  // What `ps` shows; the notes look for the flags there (INVENTORY K03).
  showCommandLine(["kube-apiserver", ...args]);
  const log = logs(flags);
  for (const words of flags.ignored) log.server.info("A flag has no effect", { flag: words });
  const data = flags.dataDir ? openDataDir(flags.dataDir) : undefined;
  const given = credentials(flags);
  const server = createApiServer(serverOptions(flags, given, data), { log: log.server });
  await server.start();
  announce(flags, server, given);
  const advertised = advertisedAddress(flags);
  if (flags.controllers && server.address?.host.startsWith("127.") && !advertised.startsWith("127."))
    log.server.warn("Service kubernetes leads to an address at which this server does not listen", {
      address: `${advertised}:${flags.securePort}`,
      setting: "--advertise-address or --bind-address",
    });
  const stopControllers = flags.controllers ? await runControllers(flags, server, given, log) : undefined;
  log.server.info("Serving", {
    address: server.address?.host ?? advertisedAddress(flags),
    port: server.address?.port ?? flags.securePort,
  });
  const stop = async (): Promise<void> => {
    await stopControllers?.();
    await server.stop();
    data?.close();
    process.exit(0);
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void stop());
}

main().catch((error: unknown) => {
  if (error instanceof FlagError && error.code === 0) {
    process.stdout.write(`${error.message}\n`);
    process.exit(0);
  }
  process.stderr.write(`kube-apiserver: ${errorMessage(error)}\n`);
  process.exit(1);
});
