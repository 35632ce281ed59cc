import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLogger } from "#base/log.ts";
import type { ApiServerOptions } from "../options.ts";
import { type ApiServer, createApiServer } from "../server.ts";
import { signingKey, TestAuthority } from "./certificates.ts";

/** An API server on 127.0.0.1 with an administrator's kubeconfig. */
export interface TestServer {
  readonly server: ApiServer;
  readonly kubeconfig: string;
  readonly directory: string;
  readonly authority: TestAuthority;
  readonly options: ApiServerOptions;
  stop(): Promise<void>;
}

/** Starts a server on a free port; `extra` overrides its options. */
export async function startTestServer(extra: Partial<ApiServerOptions> = {}): Promise<TestServer> {
  const directory = mkdtempSync(join(tmpdir(), "podwire-apiserver-"));
  const authority = await TestAuthority.create();
  const tls = await authority.issue("kube-apiserver", { ips: ["127.0.0.1"], names: ["localhost"] });
  const admin = await authority.issue("kubernetes-admin", { organizations: ["system:masters"] });
  const options: ApiServerOptions = {
    listen: { host: "127.0.0.1", port: 0 },
    advertiseAddress: "192.168.1.10",
    securePort: 6443,
    tls,
    clientCa: authority.cert,
    serviceAccounts: { issuer: "https://kubernetes.default.svc.cluster.local", signingKey: signingKey() },
    services: { cidrs: ["10.96.0.0/12"], nodePorts: [30000, 32767] },
    ...extra,
  };
  const server = createApiServer(options, { log: createLogger("kube-apiserver", { level: "warn" }) });
  await server.start();
  const kubeconfig = join(directory, "kubeconfig");
  writeFileSync(kubeconfig, kubeconfigText(`https://127.0.0.1:${server.address?.port}`, authority.cert, admin), {
    mode: 0o600,
  });
  const stop = async () => {
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  };
  return { server, kubeconfig, directory, authority, options, stop };
}

/** A kubeconfig with a client certificate. */
export function kubeconfigText(url: string, ca: string, pair: { cert: string; key: string }): string {
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "test",
    clusters: [{ name: "test", cluster: { server: url, "certificate-authority-data": base64(ca) } }],
    users: [
      { name: "admin", user: { "client-certificate-data": base64(pair.cert), "client-key-data": base64(pair.key) } },
    ],
    contexts: [{ name: "test", context: { cluster: "test", user: "admin" } }],
  });
}
