import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "#api/index.ts";
import { type ApiServerOptions, controllerUser, createApiServer } from "#apiserver/index.ts";
import { errorMessage } from "#base/errors.ts";
import { createLogger, type Logger } from "#base/log.ts";
import { createFileLogger, createStderrLogger } from "#base/logFile.ts";
import { startControllers } from "#controllers/index.ts";
import { showCommandLine } from "#kernel/process/index.ts";
import { type Flags, parseFlags } from "./flags.ts";
import { serveHealth } from "./health.ts";
import { mayReadMetrics } from "./metrics-access.ts";

const read = (path: string): string => readFileSync(path, "utf8");

function serverOptions(flags: Flags): ApiServerOptions {
  const { kubeletClientCertificate: cert, kubeletClientKey: key, clientCaFile, dataDir } = flags;
  const kubeletCa = flags.kubeletCertificateAuthority ?? clientCaFile;
  if (dataDir) mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  return {
    ...(flags.listenFd.length
      ? { listenFds: flags.listenFd }
      : { listen: { host: flags.bindAddress, port: flags.securePort } }),
    advertiseAddress: flags.advertiseAddress,
    securePort: flags.securePort,
    tls: { cert: read(flags.tlsCertFile), key: read(flags.tlsPrivateKeyFile) },
    ...(clientCaFile ? { clientCa: read(clientCaFile) } : {}),
    serviceAccounts: {
      issuer: flags.serviceAccountIssuer,
      signingKey: read(flags.serviceAccountSigningKeyFile),
      verificationKeys: flags.serviceAccountKeyFile.map(read),
    },
    ...(cert && key
      ? { kubelet: { cert: read(cert), key: read(key), ...(kubeletCa ? { ca: read(kubeletCa) } : {}) } }
      : {}),
    services: { cidrs: flags.serviceClusterIpRange, nodePorts: flags.serviceNodePortRange },
    ...(dataDir ? { store: { logFile: join(dataDir, "store.log") } } : {}),
  };
}

/** The log of a part of this process that elsewhere is a program of its own. */
function componentLog({ logDir }: Flags, log: Logger, component: string): Logger {
  return logDir ? createFileLogger(component, join(logDir, `${component}.log`)) : log.child(component);
}

/** The control plane: `kube-apiserver --advertise-address=… --tls-cert-file=… …`. */
async function main(): Promise<void> {
  const args = process.argv.slice(2);
  const flags = parseFlags(args);
  // What `ps` shows; the notes look for the flags there (INVENTORY K03).
  showCommandLine(["kube-apiserver", ...args]);
  const log = flags.logDir
    ? createStderrLogger("kube-apiserver", join(flags.logDir, "kube-apiserver.log"))
    : createLogger("kube-apiserver");
  const options = serverOptions(flags);
  const server = createApiServer(options, { log });
  await server.start();
  const logOf = (component: string) => componentLog(flags, log, component);
  const schedulerLog = logOf("kube-scheduler");
  const controllersLog = logOf("kube-controller-manager");
  const controllers = await startControllers({
    client: new Client(server.localTransport(controllerUser), { userAgent: "kube-controller-manager" }),
    log: controllersLog,
    schedulerLog,
    options: {
      podCidrs: flags.clusterCidr,
      serviceCidrs: flags.serviceClusterIpRange,
      clusterCaPem: flags.clientCaFile ? read(flags.clientCaFile) : "",
      apiAddress: { host: flags.advertiseAddress, port: flags.securePort },
      nodeOrder: flags.nodeOrder,
    },
  });
  controllersLog.info("Controllers are running", { clusterCIDR: flags.clusterCidr.join(",") });
  schedulerLog.info("The scheduler is running", { schedulerName: "default-scheduler" });
  log.info("Serving", { address: flags.advertiseAddress, port: flags.securePort });
  const health = () => {
    const state = controllers.health();
    return { ok: state.ok, text: state.ok ? "ok" : JSON.stringify(state) };
  };
  const reviewer = new Client(server.localTransport(controllerUser), { userAgent: "kube-controller-manager" });
  const closeHealth = serveHealth(options.tls, {
    log,
    health,
    mayRead: (token) => mayReadMetrics(reviewer, token),
    metrics: (program) => controllers.metrics(program === "kube-scheduler" ? "scheduler" : "controllers"),
  });
  const stop = async (): Promise<void> => {
    closeHealth();
    await controllers.stop();
    await server.stop();
    process.exit(0);
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void stop());
}

main().catch((error: unknown) => {
  process.stderr.write(`kube-apiserver: ${errorMessage(error)}\n`);
  process.exit(1);
});
