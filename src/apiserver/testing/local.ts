import type { Transport } from "#api/index.ts";
import { createLogger } from "#base/log.ts";
import type { ApiServerOptions } from "../options.ts";
import { type ApiServer, createApiServer } from "../server.ts";
import { signingKey, TestAuthority } from "./certificates.ts";

/** A server without a listener, and an administrator's way to it. */
export interface LocalServer {
  readonly server: ApiServer;
  readonly api: Transport;
  /** Lines that the server logged. */
  readonly log: string[];
}

/** Starts a server that is reached inside this process only. */
export async function startLocalServer(extra: Partial<ApiServerOptions> = {}): Promise<LocalServer> {
  const log: string[] = [];
  const server = createApiServer(
    {
      advertiseAddress: "192.168.1.10",
      securePort: 6443,
      tls: await (await TestAuthority.create()).issue("kube-apiserver"),
      serviceAccounts: { issuer: "https://issuer", signingKey: signingKey() },
      services: { cidrs: ["10.96.0.0/12"], nodePorts: [30000, 32767] },
      ...extra,
    },
    { log: createLogger("kube-apiserver", { write: (line) => log.push(line) }) },
  );
  return { server, log, api: server.localTransport({ name: "admin", groups: ["system:masters"] }) };
}
