import { Client } from "#api/index.ts";
import { controllerUser, createApiServer } from "#apiserver/index.ts";
import { errorMessage } from "#base/errors.ts";
import { createLogger } from "#base/log.ts";
import { startControllers } from "#controllers/index.ts";
import { parseFlags } from "./flags.ts";

/** The control plane: `kube-apiserver --tls-cert-file=… --client-ca-file=…`, with controllers and scheduler inside. */
async function main(): Promise<void> {
  const args = process.argv.slice(2);
  const settings = parseFlags(args);
  // What `ps` shows; upstream's program is looked for by this name.
  process.title = `kube-apiserver ${args.join(" ")}`;
  const log = createLogger("kube-apiserver", { level: settings.verbosity >= 4 ? "debug" : "info" });
  const server = createApiServer(settings.server, { log });
  await server.start();
  log.info("Serving", { address: settings.server.advertiseAddress, port: settings.server.securePort, revision: server.revision });
  const transport = server.localTransport(controllerUser);
  const client = new Client(transport, { userAgent: "kube-controller-manager" });
  const controllers = await startControllers({
    client,
    log: log.child("controllers"),
    options: {
      podCidrs: settings.podCidrs,
      clusterCaPem: settings.clusterCa,
      serviceCidrs: settings.server.services.cidrs,
      apiAddress: { host: settings.server.advertiseAddress, port: settings.server.securePort },
    },
  });
  const stop = async (signal: string) => {
    log.info("Stopping", { signal });
    await controllers.stop();
    await server.stop();
    process.exit(0);
  };
  process.once("SIGTERM", (signal) => void stop(signal));
  process.once("SIGINT", (signal) => void stop(signal));
}

main().catch((error: unknown) => {
  process.stderr.write(`kube-apiserver: ${errorMessage(error)}\n`);
  process.exitCode = 1;
  process.exit();
});
