import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Transport } from "#api/index.ts";
import { ask } from "../testing/client.ts";
import { startTestServer, type TestServer } from "../testing/server.ts";
import { healthChecks, healthReply } from "./health.ts";

const answer = (path: string, query = "", stored?: string, ready = true) => {
  const reply = healthReply(
    healthChecks({ stored: () => stored, ready: () => ready }),
    path,
    new URLSearchParams(query),
  );
  return reply && [reply.status, reply.body];
};

describe("health paths, with upstream's texts", () => {
  it("say ok, and with verbose what is", () => {
    expect(answer("/livez")).toEqual([200, "ok"]);
    expect(answer("/livez", "verbose")).toEqual([
      200,
      "[+]ping ok\n[+]log ok\n[+]etcd ok\n[+]poststarthook/rbac/bootstrap-roles ok\n[+]poststarthook/scheduling/bootstrap-system-priority-classes ok\nlivez check passed\n",
    ]);
    expect(answer("/readyz", "verbose")?.[1]).toMatch(
      /^\[\+\]ping ok\n[\s\S]*\[\+\]shutdown ok\nreadyz check passed\n$/,
    );
  });

  it("name what is not, and answer 500", () => {
    expect(answer("/readyz", "", undefined, false)).toEqual([
      500,
      expect.stringMatching(/\[-\]shutdown failed: reason withheld\nreadyz check failed\n$/),
    ]);
    expect(answer("/livez", "", "ENOSPC")).toEqual([500, expect.stringContaining("[-]etcd failed: reason withheld\n")]);
  });

  it("leave out what is excluded, and answer single checks", () => {
    expect(answer("/livez", "exclude=etcd", "ENOSPC")).toEqual([200, "ok"]);
    expect(answer("/livez", "verbose&exclude=etcd&exclude=none", "ENOSPC")?.[1]).toMatch(
      /\[\+\]etcd excluded: ok\n[\s\S]*warn: some health checks cannot be excluded: no matches for "none"\nlivez check passed\n$/,
    );
    expect(answer("/livez/etcd")).toEqual([200, "ok"]);
    expect(answer("/livez/etcd", "", "ENOSPC")).toEqual([500, "internal server error: ENOSPC\n"]);
    expect(answer("/readyz/poststarthook/rbac/bootstrap-roles")).toEqual([200, "ok"]);
    expect(answer("/livez/shutdown")).toBeUndefined();
  });
});

describe("/metrics", () => {
  let test: TestServer;
  let admin: Transport;
  beforeAll(async () => {
    test = await startTestServer();
    admin = test.server.localTransport({ name: "admin", groups: ["system:masters"] });
  });
  afterAll(() => test.stop());

  it("counts requests and objects under upstream's names", async () => {
    await ask(admin, "GET", "/api/v1/namespaces/default/configmaps");
    await ask(admin, "GET", "/api/v1/namespaces/default/configmaps/none");
    await ask(admin, "POST", "/api/v1/namespaces/default/configmaps", { metadata: { name: "one" } });
    const { headers, body } = await ask(admin, "GET", "/metrics");
    expect(headers["content-type"]).toMatch(/^text\/plain; version=0\.0\.4/);
    const lines = (body.message as string).split("\n");
    const labels = (verb: string, scope: string) =>
      `component="apiserver",dry_run="",group="",resource="configmaps",scope="${scope}",subresource="",verb="${verb}",version="v1"`;
    expect(lines).toContain(`apiserver_request_total{code="200",${labels("LIST", "namespace")}} 1`);
    expect(lines).toContain(`apiserver_request_total{code="404",${labels("GET", "resource")}} 1`);
    expect(lines).toContain(`apiserver_request_total{code="201",${labels("POST", "resource")}} 1`);
    expect(lines).toContain(`apiserver_request_duration_seconds_count{${labels("LIST", "namespace")}} 1`);
    // The one, and extension-apiserver-authentication of every cluster.
    expect(lines).toContain('apiserver_storage_objects{resource="configmaps"} 2');
    expect(lines).toContain('apiserver_current_inflight_requests{request_kind="readOnly"} 1');
    for (const name of ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"])
      expect(lines.some((line) => line.startsWith(`${name} `))).toBe(true);
  });

  it("takes no labels that clients make up", async () => {
    for (const path of ["/apis/made.up/v1/things", "/api/v1/namespaces/default/pods/x/made-up", "/made-up"])
      await ask(admin, "GET", path);
    await ask(admin, "MADEUP", "/api/v1/namespaces/default/configmaps");
    expect((await ask(admin, "GET", "/metrics")).body.message).not.toMatch(/made|MADE/);
  });

  it("is for those who may: system:monitoring, not everybody", async () => {
    const as = (...groups: string[]) => test.server.localTransport({ name: "x", groups });
    expect((await ask(as("system:monitoring"), "GET", "/metrics")).status).toBe(200);
    expect((await ask(as("system:monitoring"), "GET", "/livez/etcd")).status).toBe(200);
    expect((await ask(as("system:authenticated"), "GET", "/metrics")).body.message).toBe(
      'forbidden: User "x" cannot get path "/metrics"',
    );
  });
});
