/** A process with nothing but an API server, for tests that kill it: `node process.ts DIRECTORY`; prints its port. */
import { readFileSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { join } from "node:path";
import { createLogger } from "#base/log.ts";
import { createApiServer } from "../server.ts";

const directory = process.argv[2] ?? ".";
const read = (name: string) => readFileSync(join(directory, name), "utf8");
const server = createApiServer(
  {
    listen: { host: "127.0.0.1", port: 0 },
    advertiseAddress: "192.168.1.10",
    securePort: 6443,
    tls: { cert: read("tls.crt"), key: read("tls.key") },
    clientCa: read("ca.crt"),
    serviceAccounts: { issuer: "https://issuer", signingKey: read("sa.key") },
    services: { cidrs: ["10.96.0.0/12"], nodePorts: [30000, 32767] },
    store: { logFile: join(directory, "store.log"), durability: "disk" },
  },
  { log: createLogger("kube-apiserver") },
);
await server.start();
// It never ends by itself, and the next one starts sooner for what Node keeps of its sources.
flushCompileCache();
process.stdout.write(`${server.address?.port}\n`);
