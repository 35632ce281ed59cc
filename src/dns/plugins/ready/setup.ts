import type { Setup } from "../../core/index.ts";
import { args, hostPort, readProperties } from "../../corefile/index.ts";

/**
 * `ready [ADDRESS]`: /ready on :8181 answers 200 once every plugin that has to wait for something is ready, before
 * that 503 with the names of those that are not.
 */
export const setup: Setup = (directive, { instance }) => {
  const [address = ":8181"] = args(directive, "ready [ADDRESS]", 0, 1);
  const { host, port } = hostPort(address, directive.at, 8181);
  readProperties(directive, {
    monitor: (property) => void args(property, "monitor until-ready|continuously", 1),
  });
  let remove: (() => Promise<void>) | undefined;
  return {
    name: "ready",
    start: async () => {
      remove = await instance.http.serve(`${host}:${port}`, "/ready", () => {
        const waiting = instance.notReady();
        return waiting.length === 0 ? { status: 200, body: "OK" } : { status: 503, body: waiting.join(",") };
      });
    },
    stop: async () => await remove?.(),
  };
};
