import { describe, expect, it } from "vitest";
import { refusal } from "../plugins/testBlock.ts";

describe("what is not there", () => {
  it.each(
    "geoip tls quic trace pprof dnstap dns64 tsig dnssec transfer route53 azure clouddns secondary etcd grpc erratic on sign view nomad".split(
      " ",
    ),
  )("%s is refused by name", async (name) => {
    expect(await refusal(`. {\n ${name}\n}`)).toContain(
      `Corefile:2: plugin ${name} of CoreDNS is not part of this server`,
    );
  });

  it.each([
    ["kubernetes {\n  multicluster clusterset.local\n }", "Corefile:3: multicluster of kubernetes is not there"],
    ["kubernetes {\n  namespaces a\n  namespace_labels b=c\n }", "namespaces and namespace_labels cannot both be set"],
    ["kubernetes {\n  ignore all\n }", "Corefile:3: unable to parse ignore value: 'all'"],
    ["forward . https://9.9.9.9", "https:// upstreams are not there"],
    ["forward . 9.9.9.9 {\n  resolver 1.1.1.1\n }", "resolver of forward is not there"],
    ["loadbalance weighted file", "policy weighted of loadbalance"],
    ["cache {\n  servfail 6m\n }", "caching SERVFAIL responses over 5 minutes is not permitted"],
    ["cache {\n  serve_stale 1h later\n }", "invalid value for serve_stale refresh mode: later"],
    ["forward . 1.1.1.1 {\n  failover NOERROR\n }", "NOERROR cannot be used in failover"],
    ["errors {\n  consolidate 5m x loud\n }", "unknown log level argument in consolidate: loud"],
  ])("%s", async (directive, message) => {
    expect(await refusal(`. {\n ${directive}\n}`)).toContain(message);
  });
});
