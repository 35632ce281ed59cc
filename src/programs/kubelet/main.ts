import { Client, http2Transport, loadKubeconfig } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import { createLogger } from "#base/log.ts";
import { agentOptions, startAgent } from "#kubelet/index.ts";

/** The node agent: `kubelet --config=… --kubeconfig=… --node-ip=…`. */
async function main(): Promise<void> {
  const args = process.argv.slice(2);
  // What `ps` shows; upstream's program is looked for by this name.
  process.title = `/usr/bin/kubelet ${args.join(" ")}`;
  const log = createLogger("kubelet");
  const options = agentOptions(args);
  const transport = http2Transport(await loadKubeconfig(options.kubeconfig));
  const client = new Client(transport, { userAgent: "kubelet" });
  const agent = await startAgent(options, { client, log });
  const stop = async (signal: string) => {
    log.info("Stopping; pods go on", { signal });
    await agent.stop();
    await transport.close();
    process.exit(0);
  };
  process.once("SIGTERM", (signal) => void stop(signal));
  process.once("SIGINT", (signal) => void stop(signal));
}

main().catch((error: unknown) => {
  process.stderr.write(`kubelet: ${errorMessage(error)}\n`);
  process.exit(1);
});
