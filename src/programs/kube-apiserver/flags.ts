import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import type { ApiServerOptions } from "#apiserver/index.ts";
import { cidrsOverlap, parseCidr, parseIp } from "#base/ip.ts";
import { PodwireError } from "#base/errors.ts";

/** What the command line says: the server's options, and what the controllers in the same process need. */
export interface Settings {
  readonly server: ApiServerOptions;
  readonly podCidrs: readonly string[];
  /** Trust that pods get in ConfigMap kube-root-ca.crt. */
  readonly clusterCa: string;
  readonly verbosity: number;
}

interface Flags {
  advertiseAddress?: string;
  bindAddress: string;
  securePort: number;
  listenFd: number[];
  clientCaFile?: string;
  clusterCidr: string[];
  kubeletClientCertificate?: string;
  kubeletClientKey?: string;
  kubeletCertificateAuthority?: string;
  serviceAccountIssuer: string;
  serviceAccountKeyFile: string[];
  serviceAccountSigningKeyFile?: string;
  serviceClusterIpRange: string[];
  serviceNodePortRange: [number, number];
  tlsCertFile?: string;
  tlsPrivateKeyFile?: string;
  dataDir?: string;
  fsync: boolean;
  v: number;
}

/** Reads kube-apiserver's flags. Throws PodwireError for values that clash, CommanderError for flags that are unknown. */
export function parseFlags(args: readonly string[]): Settings {
  const flags = command().parse(args, { from: "user" }).opts<Flags>();
  checkRanges(flags);
  const advertise = flags.advertiseAddress ?? flags.bindAddress;
  const listen = flags.listenFd.length > 0 ? {} : { listen: { host: flags.bindAddress, port: flags.securePort } };
  const clientCa = flags.clientCaFile ? readFileSync(flags.clientCaFile, "utf8") : undefined;
  const server: ApiServerOptions = {
    ...listen,
    listenFds: flags.listenFd,
    advertiseAddress: advertise,
    securePort: flags.securePort,
    tls: { cert: required(flags.tlsCertFile, "--tls-cert-file"), key: required(flags.tlsPrivateKeyFile, "--tls-private-key-file") },
    ...(clientCa ? { clientCa } : {}),
    serviceAccounts: serviceAccounts(flags),
    ...kubelet(flags),
    services: { cidrs: flags.serviceClusterIpRange, nodePorts: flags.serviceNodePortRange },
    ...(flags.dataDir ? { store: { logFile: join(flags.dataDir, "apiserver.log"), durability: flags.fsync ? ("machine" as const) : ("process" as const) } } : {}),
  };
  return { server, podCidrs: flags.clusterCidr, clusterCa: clientCa ?? "", verbosity: flags.v };
}

function command(): Command {
  return new Command("kube-apiserver")
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .description("The Kubernetes API with its controllers and the scheduler in one process.")
    .option("--advertise-address <ip>", "address of this server inside the cluster", ipFlag)
    .option("--bind-address <ip>", "address to listen on", ipFlag, "0.0.0.0")
    .option("--secure-port <port>", "port to listen on", portFlag, 6443)
    .option("--listen-fd <fd>", "an inherited listening socket, instead of the address (repeatable)", (text, all: number[]) => [...all, numberFlag(text)], [])
    .option("--client-ca-file <file>", "whoever signed client certificates")
    .option("--cluster-cidr <cidrs>", "networks of the pods", cidrsFlag, ["10.244.0.0/16"])
    .option("--kubelet-client-certificate <file>", "certificate shown to node agents")
    .option("--kubelet-client-key <file>", "its key")
    .option("--kubelet-certificate-authority <file>", "whoever signed the node agents' certificates; absent: not checked")
    .option("--service-account-issuer <url>", "issuer of ServiceAccount tokens", "https://kubernetes.default.svc.cluster.local")
    .option("--service-account-key-file <file>", "key to verify ServiceAccount tokens with (repeatable)", (text, all: string[]) => [...all, text], [])
    .option("--service-account-signing-key-file <file>", "key to sign ServiceAccount tokens with")
    .option("--service-cluster-ip-range <cidrs>", "addresses of Services", cidrsFlag, ["10.96.0.0/12"])
    .option("--service-node-port-range <from-to>", "node ports of Services", rangeFlag, [30000, 32767])
    .option("--tls-cert-file <file>", "serving certificate")
    .option("--tls-private-key-file <file>", "its key")
    .option("--data-dir <directory>", "where the log of all objects is kept; absent: in memory only")
    .option("--fsync", "a write counts only when the disk has it, not when the kernel has it", false)
    .option("--allow-privileged <bool>", "accepted: privileged containers are the node's business", "true")
    .option("--authorization-mode <modes>", "accepted: Node and RBAC are what there is", modesFlag, "Node,RBAC")
    .option("-v, --v <level>", "log level", numberFlag, 0);
}

function numberFlag(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("a number is wanted");
  return Number(text);
}

function portFlag(text: string): number {
  const port = numberFlag(text);
  if (port > 65535) throw new InvalidArgumentError("a port is at most 65535");
  return port;
}

function ipFlag(text: string): string {
  try {
    parseIp(text);
    return text;
  } catch {
    throw new InvalidArgumentError("an IP address is wanted");
  }
}

function cidrsFlag(text: string): string[] {
  const cidrs = text.split(",").map((c) => c.trim());
  try {
    for (const cidr of cidrs) parseCidr(cidr);
    return cidrs;
  } catch {
    throw new InvalidArgumentError("networks such as 10.96.0.0/12 are wanted, at most one of each family");
  }
}

function rangeFlag(text: string): [number, number] {
  const match = /^(\d+)-(\d+)$/.exec(text);
  const [from, to] = [Number(match?.[1]), Number(match?.[2])];
  if (!match || from > to || to > 65535) throw new InvalidArgumentError("a range such as 30000-32767 is wanted");
  return [from, to];
}

function modesFlag(text: string): string {
  const unknown = text.split(",").find((mode) => mode !== "Node" && mode !== "RBAC");
  if (unknown) throw new InvalidArgumentError(`authorisation mode ${unknown} is not offered; there are Node and RBAC`);
  return text;
}

function required(file: string | undefined, flag: string): string {
  if (file === undefined) throw new PodwireError("MissingFlag", `${flag} is required`);
  return readFileSync(file, "utf8");
}

function serviceAccounts(flags: Flags): ApiServerOptions["serviceAccounts"] {
  const { serviceAccountIssuer: issuer, serviceAccountSigningKeyFile: signing } = flags;
  return {
    issuer,
    verificationKeys: flags.serviceAccountKeyFile.map((file) => readFileSync(file, "utf8")),
    ...(signing ? { signingKey: readFileSync(signing, "utf8") } : {}),
  };
}

function kubelet(flags: Flags): Pick<ApiServerOptions, "kubelet"> {
  const { kubeletClientCertificate: cert, kubeletClientKey: key, kubeletCertificateAuthority: ca } = flags;
  if (!cert || !key) return {};
  return { kubelet: { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8"), ...(ca ? { ca: readFileSync(ca, "utf8") } : {}) } };
}

/** Networks that overlap are refused by name. */
function checkRanges(flags: Flags): void {
  for (const service of flags.serviceClusterIpRange) {
    for (const pods of flags.clusterCidr) {
      if (!cidrsOverlap(parseCidr(service), parseCidr(pods))) continue;
      throw new PodwireError("OverlappingNetworks", `--service-cluster-ip-range ${service} overlaps --cluster-cidr ${pods}`, { service, pods });
    }
  }
}
