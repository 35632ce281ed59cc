import type { Setup } from "../../core/index.ts";
import { args, CorefileError, duration, listenAddress, oneArg, readProperties } from "../../corefile/index.ts";

/**
 * `health [ADDRESS] { lameduck DURATION }`: /health on :8080 says OK while the process lives. With lameduck the server
 * goes on answering for that long after it was told to end, until the cluster has stopped to send it queries.
 */
export const setup: Setup = (directive, { instance, log }) => {
  const [address = ":8080"] = args(directive, "health [ADDRESS]", 0, 1);
  const { host, port } = listenAddress(address, directive.at);
  let lameduckMs = 0;
  readProperties(directive, {
    lameduck: (property) => {
      lameduckMs = duration(oneArg(property, "lameduck DURATION"), property.at, "lameduck");
      if (lameduckMs < 0) throw new CorefileError(property.at, "lameduck below zero");
    },
  });
  let remove: (() => Promise<void>) | undefined;
  return {
    name: "health",
    lameduckMs,
    start: async () => {
      remove = await instance.http.serve(`${host}:${port}`, "/health", () => ({
        status: 200, // what is broken elsewhere is not mended by a restart of this process
        body: ["OK", ...instance.troubles()].join("\n"),
      }));
      log.debug("Serving /health", { port });
    },
    stop: async () => await remove?.(),
  };
};
