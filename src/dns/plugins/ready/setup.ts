import type { Setup } from "../../core/index.ts";
import { args, CorefileError, listenAddress, oneArg, readProperties } from "../../corefile/index.ts";

/**
 * `ready [ADDRESS] { monitor until-ready|continuously }`: /ready on :8181 answers 200 once every plugin that has to
 * wait for something is ready, before that 503 with the names of those that are not. `continuously`: a plugin that was
 * ready once counts again when it is not any more.
 */
export const setup: Setup = (directive, { instance }) => {
  const [address = ":8181"] = args(directive, "ready [ADDRESS]", 0, 1);
  const { host, port } = listenAddress(address, directive.at);
  let continuously = false;
  readProperties(directive, {
    monitor: (property) => {
      const how = oneArg(property, "monitor until-ready|continuously");
      if (how !== "until-ready" && how !== "continuously") {
        throw new CorefileError(property.at, `invalid monitor type: ${how}; allowed: until-ready, continuously`);
      }
      continuously = how === "continuously";
    },
  });
  /** Plugins that were seen not to be ready and are not yet; those beside them were ready once, which counts. */
  let pending: readonly string[] | undefined;
  const waitingNow = () => {
    const waiting = instance.notReady();
    if (continuously) return waiting;
    const before = pending;
    pending = before ? waiting.filter((name) => before.includes(name)) : waiting;
    return pending;
  };
  let remove: (() => Promise<void>) | undefined;
  return {
    name: "ready",
    start: async () => {
      remove = await instance.http.serve(`${host}:${port}`, "/ready", () => {
        const waiting = waitingNow();
        return waiting.length === 0 ? { status: 200, body: "OK" } : { status: 503, body: waiting.join(",") };
      });
    },
    stop: async () => await remove?.(),
  };
};
