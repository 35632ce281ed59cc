import { rcodeName, typeName } from "#wire/dns/index.ts";
import type { Setup } from "../../core/index.ts";
import { args, hostPort, noBlock } from "../../corefile/index.ts";
import { dnsDurations } from "./buckets.ts";

const dnsSizes = [0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16_000, 32_000, 48_000, 64_000];

/** Types that get a label of their own, as in CoreDNS; the others share "other". */
const labelled = new Set(
  "AAAA A CNAME DNSKEY DS HTTPS MX NSEC3 NSEC NS PTR RRSIG SOA SRV TXT ANY AXFR IXFR".split(" "),
);

/** `prometheus [ADDRESS]`: metrics under CoreDNS' names at /metrics, on localhost:9153 by default. */
export const setup: Setup = (directive, { instance, server, zones, siblings }) => {
  noBlock(directive);
  const [address = "localhost:9153"] = args(directive, "prometheus [ADDRESS]", 0, 1);
  const { host, port } = hostPort(address, directive.at, 9153);
  const { metrics } = instance;
  const requests = metrics.counter(
    "coredns_dns_requests_total",
    "Counter of DNS requests made per zone, protocol and family.",
  );
  const dnssecRequests = metrics.counter(
    "coredns_dns_do_requests_total",
    "Counter of DNS requests with DO bit set per zone.",
  );
  const responses = metrics.counter("coredns_dns_responses_total", "Counter of response status codes.");
  const durations = metrics.histogram(
    "coredns_dns_request_duration_seconds",
    "Histogram of the time (in seconds) each request took per zone.",
    dnsDurations,
  );
  const requestSizes = metrics.histogram(
    "coredns_dns_request_size_bytes",
    "Size of the EDNS0 UDP buffer in bytes (64K for TCP) per zone and protocol.",
    dnsSizes,
  );
  const responseSizes = metrics.histogram(
    "coredns_dns_response_size_bytes",
    "Size of the returned response in bytes.",
    dnsSizes,
  );
  const info = metrics.gauge("coredns_build_info", "A metric with a constant '1' value labeled by version.");
  info.set(1, { version: "podwire", revision: "", goversion: "" });
  metrics.counter("coredns_panics_total", "A metrics that counts the number of panics.").inc({}, 0);
  let remove: (() => Promise<void>) | undefined;
  return {
    name: "prometheus",
    hot: "neutral",
    answeredHot: (answers) => {
      const { zone, plugin, protocol: proto } = answers;
      const common = { server: answers.server, zone, view: "" };
      for (const { family, type, times } of answers.requests)
        requests.inc({ ...common, proto, family: String(family), type: typeLabel(type) }, times);
      if (answers.dnssecOk > 0) dnssecRequests.inc(common, answers.dnssecOk);
      for (const { rcode, times } of answers.responses)
        responses.inc({ ...common, rcode: rcodeName(rcode), plugin }, times);
      durations.observe(answers.seconds, common, answers.total);
      for (const { bytes, times } of answers.requestSizes) requestSizes.observe(bytes, { ...common, proto }, times);
      for (const { bytes, times } of answers.responseSizes) responseSizes.observe(bytes, { ...common, proto }, times);
    },
    answered: (request, reply, outcome) => {
      const { zone, peer } = request;
      const proto = peer.protocol;
      const family = peer.address.includes(":") ? "2" : "1";
      const type = typeLabel(request.question.type);
      const common = { server: request.server, zone, view: "" };
      requests.inc({ ...common, proto, family, type });
      if (request.message.edns?.dnssecOk) dnssecRequests.inc(common);
      responses.inc({ ...common, rcode: rcodeName(reply.rcode), plugin: reply.plugin });
      durations.observe(outcome.seconds, common);
      requestSizes.observe(outcome.requestBytes, { ...common, proto });
      responseSizes.observe(outcome.responseBytes, { ...common, proto });
    },
    start: async () => {
      const enabled = metrics.gauge(
        "coredns_plugin_enabled",
        "A metric that indicates whether a plugin is enabled on per server and zone basis.",
      );
      const names = siblings().flatMap(({ name, handle }) => (handle || name === "prometheus" ? name : []));
      for (const zone of zones) for (const name of names) enabled.set(1, { server, zone, view: "", name });
      remove = await instance.http.serve(`${host}:${port}`, "/metrics", () => ({
        status: 200,
        body: metrics.text(),
        contentType: "text/plain; version=0.0.4; charset=utf-8",
      }));
    },
    stop: async () => await remove?.(),
  };
};

function typeLabel(type: number): string {
  const name = typeName(type);
  return labelled.has(name) ? name : "other";
}
