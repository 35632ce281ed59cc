import type { V1PodSpec } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ask } from "../../testing/client.ts";
import { type LocalServer, startLocalServer } from "../../testing/local.ts";
import { evaluate, violationsText } from "./evaluate.ts";
import type { Standard } from "./policy.ts";

// Source: kubernetes.io/docs/concepts/security/pod-security-standards, k8s.io/pod-security-admission/policy.

const baseline: Standard = { level: "baseline", version: "latest" };
const restricted: Standard = { level: "restricted", version: "latest" };

/** A pod that meets the restricted standard, but for what is given. */
function pod(spec: Partial<V1PodSpec> = {}, context: Record<string, unknown> = {}, container: object = {}) {
  const securityContext = {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ["ALL"] },
    runAsNonRoot: true,
    seccompProfile: { type: "RuntimeDefault" },
    ...context,
  };
  return { metadata: {}, spec: { containers: [{ name: "c", image: "x", securityContext, ...container }], ...spec } };
}

const said = (of: ReturnType<typeof pod>, standard: Standard) => violationsText(evaluate(of, standard));

describe("Pod Security Standards", () => {
  it("lets a pod pass that meets them, and every pod where the level is privileged", () => {
    expect(evaluate(pod(), restricted)).toEqual([]);
    const bad = pod({ hostNetwork: true }, { privileged: true });
    expect(evaluate(bad, { level: "privileged", version: "latest" })).toEqual([]);
  });

  it.each<[string, ReturnType<typeof pod>]>([
    [
      'forbidden AppArmor profile (container "c" must not set AppArmor profile type to "Unconfined")',
      pod({}, { appArmorProfile: { type: "Unconfined" } }),
    ],
    [
      'non-default capabilities (container "c" must not include "NET_ADMIN", "SYS_TIME" in securityContext.capabilities.add)',
      pod({}, { capabilities: { add: ["SYS_TIME", "CHOWN", "NET_ADMIN"] } }),
    ],
    ["host namespaces (hostNetwork=true, hostPID=true)", pod({ hostPID: true, hostNetwork: true })],
    [
      'hostPath volumes (volumes "a", "b")',
      pod({ volumes: ["a", "b"].map((name) => ({ name, hostPath: { path: "/" } })) }),
    ],
    ['hostPort (container "c" uses hostPort 80)', pod({}, {}, { ports: [{ containerPort: 80, hostPort: 80 }] })],
    [
      'probe or lifecycle host (container "c" uses probe or lifecycle host "10.0.0.1")',
      pod({}, {}, { livenessProbe: { httpGet: { port: 80, host: "10.0.0.1" } } }),
    ],
    ['privileged (container "c" must not set securityContext.privileged=true)', pod({}, { privileged: true })],
    [
      'procMount (container "c" must not set securityContext.procMount to "Unmasked")',
      pod({}, { procMount: "Unmasked" }),
    ],
    [
      'seLinuxOptions (pod and container "c" set forbidden securityContext.seLinuxOptions: type "spc_t"; user may not be set)',
      pod({ securityContext: { seLinuxOptions: { user: "u" } } }, { seLinuxOptions: { type: "spc_t" } }),
    ],
    [
      'seccompProfile (container "c" must not set securityContext.seccompProfile.type to "Unconfined")',
      pod({}, { seccompProfile: { type: "Unconfined" } }),
    ],
    [
      "forbidden sysctls (kernel.msgmax)",
      pod({
        securityContext: {
          sysctls: [
            { name: "kernel.msgmax", value: "1" },
            { name: "net.ipv4.tcp_syncookies", value: "1" },
          ],
        },
      }),
    ],
    [
      "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)",
      pod({ securityContext: { windowsOptions: { hostProcess: true } } }),
    ],
  ])("baseline: %s", (text, bad) => expect(said(bad, baseline)).toBe(text));

  it.each<[string, ReturnType<typeof pod>]>([
    [
      'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false)',
      pod({}, { allowPrivilegeEscalation: undefined }),
    ],
    [
      'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]; container "c" must not include "CHOWN" in securityContext.capabilities.add)',
      pod({}, { capabilities: { add: ["CHOWN", "NET_BIND_SERVICE"] } }),
    ],
    [
      'restricted volume types (volumes "a", "b" use restricted volume types "hostPath", "nfs")',
      pod({
        volumes: [
          { name: "a", nfs: { server: "s", path: "/" } },
          { name: "b", hostPath: { path: "/" } },
          { name: "ok", emptyDir: {} },
        ],
      }),
    ],
    [
      'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)',
      pod({}, { runAsNonRoot: undefined }),
    ],
    [
      'runAsNonRoot != true (container "c" must not set securityContext.runAsNonRoot=false)',
      pod({ securityContext: { runAsNonRoot: true } }, { runAsNonRoot: false }),
    ],
    ["runAsUser=0 (pod must not set runAsUser=0)", pod({ securityContext: { runAsUser: 0 } })],
    [
      'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
      pod({}, { seccompProfile: undefined }),
    ],
  ])("restricted: %s", (text, bad) => expect(said(bad, restricted)).toBe(text));

  it("tells init containers before others, and baseline's requirements before those of restricted", () => {
    const init = [{ name: "i", image: "x" }];
    expect(said(pod({ initContainers: init, hostIPC: true }, { privileged: true }), restricted)).toBe(
      'host namespaces (hostIPC=true), privileged (container "c" must not set securityContext.privileged=true), ' +
        'allowPrivilegeEscalation != false (container "i" must set securityContext.allowPrivilegeEscalation=false), ' +
        'unrestricted capabilities (container "i" must set securityContext.capabilities.drop=["ALL"]), ' +
        'runAsNonRoot != true (pod or container "i" must set securityContext.runAsNonRoot=true), ' +
        'seccompProfile (pod or container "i" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
    );
  });

  it("asks what the version of the standard asks", () => {
    const at = (version: number): Standard => ({ level: "restricted", version });
    const root = pod({}, { runAsUser: 0 });
    expect([said(root, at(22)), said(root, at(23))]).toEqual([
      "",
      'runAsUser=0 (container "c" must not set runAsUser=0)',
    ]);
    const sysctl = pod({ securityContext: { sysctls: [{ name: "net.ipv4.tcp_rmem", value: "1" }] } });
    expect([said(sysctl, at(31)), said(sysctl, at(32))]).toEqual(["forbidden sysctls (net.ipv4.tcp_rmem)", ""]);
    const adding = pod({}, { capabilities: { add: ["SYS_TIME"] } });
    expect(said(adding, at(21))).toMatch(/^non-default capabilities/);
  });
});

describe("Pod Security admission", () => {
  let local: LocalServer;
  beforeAll(async () => {
    local = await startLocalServer();
  });
  afterAll(() => local.server.stop());
  const merged = { "content-type": "application/merge-patch+json" };

  async function namespace(name: string, labels: Record<string, string>) {
    const full = Object.fromEntries(Object.entries(labels).map(([k, v]) => [`pod-security.kubernetes.io/${k}`, v]));
    const made = await ask(local.api, "POST", "/api/v1/namespaces", { metadata: { name, labels: full } });
    if (made.status === 201)
      await ask(local.api, "POST", `/api/v1/namespaces/${name}/serviceaccounts`, { metadata: { name: "default" } });
    return made;
  }
  const run = (namespace: string, spec: object = {}, name = "x") =>
    ask(local.api, "POST", `/api/v1/namespaces/${namespace}/pods`, {
      metadata: { name },
      spec: { containers: [{ name: "c", image: "x" }], ...spec },
    });

  it("refuses pods, and warns of what makes them", async () => {
    await namespace("strict", { enforce: "baseline" });
    const refused = await run("strict", { hostNetwork: true });
    expect([refused.status, refused.body.message]).toEqual([
      403,
      'pods "x" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)',
    ]);
    expect((await run("strict")).status).toBe(201);
    const labels = { app: "d" };
    const template = { metadata: { labels }, spec: { hostNetwork: true, containers: [{ name: "c", image: "x" }] } };
    const made = await ask(local.api, "POST", "/apis/apps/v1/namespaces/strict/deployments", {
      metadata: { name: "d" },
      spec: { selector: { matchLabels: labels }, template },
    });
    expect([made.status, made.headers.warning]).toEqual([
      201,
      '299 - "would violate PodSecurity \\"baseline:latest\\": host namespaces (hostNetwork=true)"',
    ]);
    const job = await ask(local.api, "POST", "/apis/batch/v1/namespaces/strict/cronjobs", {
      metadata: { name: "j" },
      spec: {
        schedule: "@daily",
        jobTemplate: { spec: { template: { spec: { ...template.spec, restartPolicy: "Never" } } } },
      },
    });
    expect(job.headers.warning).toContain("would violate PodSecurity");
  });

  it("warns of pods without refusing them", async () => {
    await namespace("lax", { warn: "restricted", "warn-version": "v1.30" });
    const { status, headers } = await run("lax");
    expect([status, headers.warning]).toEqual([
      201,
      expect.stringMatching(
        /^299 - "would violate PodSecurity \\"restricted:v1\.30\\": allowPrivilegeEscalation != false/,
      ),
    ]);
  });

  it("looks at a pod again when it gets another image or container", async () => {
    await namespace("later", {});
    await run("later", { hostNetwork: true });
    const label = { metadata: { labels: { "pod-security.kubernetes.io/enforce": "baseline" } } };
    const labelled = await ask(local.api, "PATCH", "/api/v1/namespaces/later", label, merged);
    expect(labelled.headers.warning).toBe(
      '299 - "existing pods in namespace \\"later\\" violate the new PodSecurity enforce level \\"baseline:latest\\"", 299 - "x: host namespaces"',
    );
    const path = "/api/v1/namespaces/later/pods/x";
    expect((await ask(local.api, "PATCH", path, { metadata: { labels: { a: "b" } } }, merged)).status).toBe(200);
    const image = { spec: { containers: [{ name: "c", image: "y" }] } };
    const strategic = { "content-type": "application/strategic-merge-patch+json" };
    expect((await ask(local.api, "PATCH", path, image, strategic)).status).toBe(403);
    const debug = { spec: { ephemeralContainers: [{ name: "d", image: "y" }] } };
    expect((await ask(local.api, "PATCH", `${path}/ephemeralcontainers`, debug, strategic)).status).toBe(403);
  });

  it("says that nothing is audited", async () => {
    const made = await namespace("audited", { audit: "restricted" });
    expect([made.status, made.headers.warning]).toEqual([
      201,
      '299 - "pod-security.kubernetes.io/audit has no effect: this cluster has no audit log"',
    ]);
  });

  it("refuses labels that mean nothing", async () => {
    const refused = await namespace("wrong", { enforce: "strict", "warn-version": "1.30" });
    expect([refused.status, refused.body.message]).toEqual([
      422,
      'Namespace "wrong" is invalid: [metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": must be one of privileged, baseline, restricted, metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid value: "1.30": must be "latest" or "v1.x"]',
    ]);
  });
});
