import { Client, http2Transport, inClusterConfig, loadKubeconfig } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import { createLogger } from "#base/log.ts";
import { Metrics } from "#base/metrics.ts";
import { describePlace, IngressController, Nginx, nginxDefaults, parseFlags, serveHealth } from "#ingress/index.ts";

/** The ingress controller: `/nginx-ingress-controller --configmap=… --default-backend-service=…` in a pod. */
async function main(): Promise<void> {
  const log = createLogger("nginx-ingress-controller");
  const flags = parseFlags(process.argv.slice(2), process.env);
  for (const warning of flags.warnings) log.warn(warning);
  const transport = http2Transport(flags.kubeconfig ? await loadKubeconfig(flags.kubeconfig) : inClusterConfig());
  const { directory } = nginxDefaults;
  const place = describePlace({ httpPort: flags.httpPort, statusPort: flags.statusPort, directory });
  const dataPlane = new Nginx({}, { log });
  const client = new Client(transport, { userAgent: "nginx-ingress-controller" });
  const metrics = new Metrics();
  const controller = new IngressController(flags, { client, log, metrics, dataPlane, place });

  const stop = async (signal: string) => {
    log.info("Stopping", { signal });
    await controller.stop();
    process.exit(0);
  };
  process.once("SIGTERM", (signal) => void stop(signal));
  process.once("SIGINT", (signal) => void stop(signal));
  await serveHealth(flags.healthzPort, metrics, () => controller.healthy);
  await controller.start();
}

main().catch((error: unknown) => {
  process.stderr.write(`nginx-ingress-controller: ${errorMessage(error)}\n`);
  process.exitCode = 1;
  process.exit();
});
