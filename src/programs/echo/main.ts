import { parseArgs } from "node:util";
import { errorMessage } from "#base/errors.ts";
import { warmThreadPool } from "#kernel/namespaces/index.ts";
import { showCommandLine } from "#kernel/process/index.ts";
import { EchoServers, listenForAgents } from "#kubelet/echo/index.ts";

/** The serving process of a node: answers for all its podwire/echo containers. Started by the node agent. */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { socket: { type: "string", default: "/run/podwire/echo.sock" } } });
  showCommandLine(["podwire-echo", `--socket=${values.socket}`]);
  await warmThreadPool();
  await listenForAgents(values.socket, new EchoServers());
  // The agent waits for this line, and then closes its end.
  process.stdout.on("error", () => {});
  process.stdout.write("listening\n");
}

main().catch((error: unknown) => {
  process.stderr.write(`echo: ${errorMessage(error)}\n`);
  process.exit(1);
});
