import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { Client } from "#api/index.ts";
import { createLogger } from "#base/log.ts";
import { type AgentOptions, defaultFolders, startAgent } from "#kubelet/index.ts";
import { unixTransport } from "./unixApi.ts";

/** A node agent on a machine of `kubeletMachine.ts`: arguments are the API's socket and the folder of certificates. */
const [api = "", pki = ""] = process.argv.slice(2);
const options: AgentOptions = {
  nodeName: "node01",
  addresses: ["192.168.1.11"],
  labels: {},
  taints: [],
  kubeconfig: "",
  clusterDns: ["10.96.0.10"],
  clusterDomain: "cluster.local",
  resolvConf: "/etc/resolv.conf",
  maxPods: 110,
  runtime: process.env["PODWIRE_TEST_RUNTIME"] === "crun" ? "crun" : "podwire",
  staticPodPath: "/run/test/manifests",
  server: {
    address: "0.0.0.0",
    port: 10250,
    healthzAddress: "127.0.0.1",
    healthzPort: 10248,
    certFile: `${pki}/node.crt`,
    keyFile: `${pki}/node.key`,
    clientCaFile: `${pki}/ca.crt`,
  },
  cniConfDir: "/run/test/net.d",
  cniBinDirs: ["/run/test/bin"],
  folders: { ...defaultFolders, podLogs: "/run/test/pods", containerLogs: "/run/test/containers", log: "/run/test" },
};
mkdirSync("/run/test", { recursive: true });
const log = createLogger("kubelet", { level: "debug" });
const agent = await startAgent(options, { client: new Client(unixTransport(api)), log });
// Whole or not at all: who waits for it reads it at once.
writeFileSync("/run/test/ready.new", String(process.pid));
renameSync("/run/test/ready.new", "/run/test/ready");
// Most tests kill it, and the next one starts sooner for what Node keeps of its sources.
flushCompileCache();
process.on("SIGTERM", () => void agent.stop().then(() => process.exit(0)));
