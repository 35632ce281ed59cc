import { type Fallthrough, noFallthrough, readFallthrough, type Setup } from "../../core/index.ts";
import { args, CorefileError, integer, oneArg, readProperties, zonesOrDefault } from "../../corefile/index.ts";
import { ExternalPlugin } from "./handler.ts";

/**
 * `k8s_external [ZONE...] { apex APEX; ttl TTL; headless; fallthrough [ZONE...] }`: names for the external addresses
 * of Services, `SERVICE.NAMESPACE.ZONE`; needs kubernetes in the same server block.
 */
export const setup: Setup = (directive, { zones, siblings, instance }) => {
  let apex = "dns";
  let ttl = 5;
  let headless = false;
  let fallthrough: Fallthrough = noFallthrough;
  readProperties(directive, {
    ttl: (property) => {
      ttl = integer(oneArg(property, "ttl TTL"), property.at, "ttl must be in range [0, 3600]:", 0, 3600);
    },
    apex: (property) => {
      apex = oneArg(property, "apex APEX").toLowerCase();
      if (!/^[a-z0-9_-]+$/.test(apex)) throw new CorefileError(property.at, `apex ${apex}; expected a single label`);
    },
    headless: (property) => {
      args(property, "headless", 0);
      headless = true;
    },
    fallthrough: (property) => {
      fallthrough = readFallthrough(property);
    },
  });
  return new ExternalPlugin({
    zones: zonesOrDefault(directive.args, zones),
    apex,
    ttl,
    headless,
    fallthrough,
    siblings,
    instance,
  });
};
