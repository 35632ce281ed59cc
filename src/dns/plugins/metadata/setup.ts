import { longestZone, type Metadata, mapReply, type Setup } from "../../core/index.ts";
import { noBlock, zonesOrDefault } from "../../corefile/index.ts";

/**
 * `metadata [ZONES...]`: collects what the other plugins of the server block know about a request (such as
 * `kubernetes/client-namespace`), for log formats, templates and rewrites.
 */
export const setup: Setup = (directive, { zones, siblings }) => {
  noBlock(directive);
  const own = zonesOrDefault(directive.args, zones);
  return {
    name: "metadata",
    hot: "neutral", // those that use it have to see the query themselves
    handle: (request, next) => {
      if (longestZone(own, request.name) === undefined) return next(request);
      const metadata: Metadata = new Map(siblings().flatMap((plugin) => [...(plugin.metadata?.(request) ?? [])]));
      return mapReply(next({ ...request, metadata }), (reply) => ({
        ...reply,
        metadata: new Map([...metadata, ...(reply.metadata ?? [])]),
      }));
    },
  };
};
