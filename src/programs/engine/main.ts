import { leaveSessionKeyring } from "#kernel/process/index.ts";
import { Engine, type FromEngine, type ToEngine } from "#lab/engine/index.ts";

/**
 * The engine of a lab. `podwire up` starts it as the first program in the lab's namespaces and talks to it over Node's
 * own channel; it is no use by hand.
 */
function main(): void {
  const send = process.send?.bind(process);
  if (!send) {
    process.stderr.write("engine: is started by `podwire up`\n");
    process.exit(2);
  }
  leaveSessionKeyring();
  const report = (message: FromEngine): void => void send(message);
  const engine = new Engine(report);
  process.on("disconnect", () => process.exit(0));
  process.on("message", (message: ToEngine, handle: unknown) => {
    engine.handle(message, handle).catch((error: unknown) => {
      const { code, message: text } = error as NodeJS.ErrnoException;
      report({ type: "failed", code: code ?? "EngineFailed", message: text });
    });
  });
  report({ type: "phase", name: "engine", ms: performance.now() });
}

main();
