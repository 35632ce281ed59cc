import { Command, InvalidArgumentError } from "commander";

/** Flags of `kube-apiserver`, with upstream's names; those of the controllers and the scheduler beside them. */
export interface Flags {
  readonly advertiseAddress: string;
  readonly bindAddress: string;
  readonly securePort: number;
  readonly listenFd: readonly number[];
  readonly clientCaFile?: string;
  readonly tlsCertFile: string;
  readonly tlsPrivateKeyFile: string;
  readonly kubeletClientCertificate?: string;
  readonly kubeletClientKey?: string;
  readonly kubeletCertificateAuthority?: string;
  readonly serviceAccountIssuer: string;
  readonly serviceAccountKeyFile: readonly string[];
  readonly serviceAccountSigningKeyFile: string;
  readonly serviceClusterIpRange: readonly string[];
  readonly serviceNodePortRange: readonly [first: number, last: number];
  readonly clusterCidr: readonly string[];
  readonly nodeOrder: readonly string[];
  readonly dataDir?: string;
  readonly logDir?: string;
}

const list = (text: string): string[] => text.split(",").map((part) => part.trim());
const append =
  <T>(parse: (text: string) => T) =>
  (text: string, before: readonly T[] = []): T[] => [...before, parse(text)];

function port(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > 65_535) throw new InvalidArgumentError("allowed is 0 to 65535");
  return value;
}

function portRange(text: string): [number, number] {
  const [first, last] = text.split("-").map(port);
  if (first === undefined || last === undefined || last < first)
    throw new InvalidArgumentError("allowed is FIRST-LAST, such as 30000-32767");
  return [first, last];
}

/** Reads the command line. Unknown flags end the process with a message, as commander does. */
export function parseFlags(argv: readonly string[]): Flags {
  const command = new Command("kube-apiserver")
    .description("The Kubernetes API of a podwire cluster, with the controllers and the scheduler in the same process.")
    .requiredOption("--advertise-address <ip>", "address under which members of the cluster reach this server")
    .option("--bind-address <ip>", "address to listen on when no descriptor is handed over", "0.0.0.0")
    .option("--secure-port <port>", "port to listen on", port, 6443)
    .option(
      "--listen-fd <n>",
      "descriptor of a listening socket that was handed over; may be repeated",
      append(Number),
      [],
    )
    .option("--client-ca-file <file>", "authority of client certificates")
    .requiredOption("--tls-cert-file <file>", "serving certificate")
    .requiredOption("--tls-private-key-file <file>", "its key")
    .option("--kubelet-client-certificate <file>", "certificate shown to node agents")
    .option("--kubelet-client-key <file>", "its key")
    .option(
      "--kubelet-certificate-authority <file>",
      "authority of the node agents' certificates; default --client-ca-file",
    )
    .option(
      "--service-account-issuer <url>",
      "issuer of ServiceAccount tokens",
      "https://kubernetes.default.svc.cluster.local",
    )
    .option("--service-account-key-file <file>", "public key that verifies tokens; may be repeated", append(String), [])
    .requiredOption("--service-account-signing-key-file <file>", "private key that signs tokens")
    .option("--service-cluster-ip-range <cidrs>", "addresses of Services", list, ["10.96.0.0/12"])
    .option("--service-node-port-range <range>", "NodePorts", portRange, [30_000, 32_767])
    .option("--cluster-cidr <cidrs>", "addresses of pods (kube-controller-manager)", list, ["10.244.0.0/16"])
    .option("--node-order <names>", "nodes whose position is the number of their pod subnet", list, [])
    .option("--data-dir <folder>", "folder of the log that makes objects outlive the process; absent: memory only")
    .option("--log-dir <folder>", "folder of the logs of controllers and scheduler; absent: with this server's own log")
    .option("--allow-privileged <bool>", "accepted for compatibility: pods decide")
    .option("--authorization-mode <modes>", "accepted for compatibility: always Node,RBAC", (modes: string) => {
      if (modes !== "Node,RBAC" && modes !== "RBAC") throw new InvalidArgumentError("allowed is Node,RBAC");
      return modes;
    });
  return command.parse(argv as string[], { from: "user" }).opts<Flags>();
}
