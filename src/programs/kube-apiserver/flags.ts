import type { AdmissionPlugin } from "#apiserver/index.ts";
import { disabledPlugins } from "./admissionFlags.ts";
import { FlagReader } from "./flagReader.ts";
import { type NodeMaskSizes, nodeMaskSizes } from "./maskSizes.ts";
import { cipherList, type TlsVersion, tlsVersion } from "./tlsFlags.ts";

/** Values of --durability. */
export type DurabilityFlag = "process" | "disk";
/** Values of --authorization-mode. */
export type ModeFlag = "Node" | "RBAC" | "AlwaysAllow" | "AlwaysDeny";

/** The command line of `kube-apiserver`, with upstream's names; those of the controllers and the scheduler beside them. */
export interface Flags {
  readonly securePort: number;
  readonly bindAddress?: string;
  readonly advertiseAddress?: string;
  readonly listenFd: readonly number[];
  readonly certDir?: string;
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
  readonly tlsMinVersion: TlsVersion;
  /** Suites by the names of the TLS library. */
  readonly tlsCiphers?: string;
  readonly clientCaFile?: string;
  readonly tokenAuthFile?: string;
  readonly bootstrapTokens: boolean;
  readonly anonymousAuth?: boolean;
  readonly authenticationConfig?: string;
  readonly serviceAccountIssuers: readonly string[];
  readonly serviceAccountSigningKeyFile?: string;
  readonly serviceAccountKeyFiles: readonly string[];
  readonly serviceAccountJwksUri?: string;
  readonly serviceAccountMaxSeconds?: number;
  readonly serviceAccountExtend: boolean;
  readonly apiAudiences: readonly string[];
  readonly disabledPlugins: readonly AdmissionPlugin[];
  readonly authorizationMode: readonly ModeFlag[];
  readonly kubelet?: { readonly certFile: string; readonly keyFile: string };
  readonly kubeletCertificateAuthority?: string;
  readonly serviceClusterIpRange: readonly string[];
  readonly serviceNodePortRange: readonly [first: number, last: number];
  readonly clusterCidr: readonly string[];
  readonly nodeCidrMaskSize: NodeMaskSizes;
  readonly controllers: boolean;
  readonly nodeOrder: readonly string[];
  readonly dataDir?: string;
  readonly durability: DurabilityFlag;
  readonly eventTtlSeconds: number;
  readonly verbosity: number;
  readonly logDir?: string;
  /** Flags that were given and change nothing, each with the reason. */
  readonly ignored: readonly string[];
}

/** A command line that is not understood; or, with code 0, one that asked for the help or the version. */
export { FlagError } from "./flagReader.ts";

const durabilities: readonly string[] = ["process", "disk"];
const modes: readonly string[] = ["Node", "RBAC", "AlwaysAllow", "AlwaysDeny"];

/** Reads the command line. @throws FlagError */
export function parseFlags(argv: readonly string[]): Flags {
  const flags = new FlagReader(argv);
  const tlsMinVersion = tlsVersion(flags.text("tls-min-version") ?? "VersionTLS12");
  const suites = flags.list("tls-cipher-suites");
  const clusterCidr = orElse(flags.list("cluster-cidr"), "10.244.0.0/16");
  const issuers = flags.list("service-account-issuer");
  const optional = {
    bindAddress: flags.text("bind-address"),
    advertiseAddress: flags.text("advertise-address"),
    certDir: flags.text("cert-dir"),
    tls: pair(flags, "tls-cert-file", "tls-private-key-file"),
    tlsCiphers: suites.length > 0 ? cipherList(suites, tlsMinVersion) : undefined,
    clientCaFile: flags.text("client-ca-file"),
    tokenAuthFile: flags.text("token-auth-file"),
    anonymousAuth: flags.bool("anonymous-auth"),
    authenticationConfig: flags.text("authentication-config"),
    serviceAccountSigningKeyFile: flags.text("service-account-signing-key-file"),
    serviceAccountJwksUri: flags.text("service-account-jwks-uri"),
    serviceAccountMaxSeconds: flags.number("service-account-max-token-expiration"),
    kubelet: pair(flags, "kubelet-client-certificate", "kubelet-client-key"),
    kubeletCertificateAuthority: flags.text("kubelet-certificate-authority"),
    dataDir: flags.text("data-dir"),
    logDir: flags.text("log-dir"),
  };
  const given = Object.entries(optional).filter(([, value]) => value !== undefined);
  return {
    ...(Object.fromEntries(given) as { [K in keyof typeof optional]?: NonNullable<(typeof optional)[K]> }),
    securePort: flags.number("secure-port") ?? 6443,
    tlsMinVersion,
    listenFd: flags.list("listen-fd").map(Number),
    disabledPlugins: disabledPlugins(flags),
    bootstrapTokens: flags.bool("enable-bootstrap-token-auth") ?? false,
    serviceAccountIssuers: issuers.length > 0 ? issuers : ["https://kubernetes.default.svc.cluster.local"],
    serviceAccountKeyFiles: flags.list("service-account-key-file"),
    serviceAccountExtend: flags.bool("service-account-extend-token-expiration") ?? true,
    apiAudiences: flags.list("api-audiences"),
    authorizationMode: modesOf(flags),
    serviceClusterIpRange: orElse(flags.list("service-cluster-ip-range"), "10.96.0.0/12"),
    serviceNodePortRange: portRange(flags),
    clusterCidr,
    nodeCidrMaskSize: nodeMaskSizes(flags, clusterCidr),
    controllers: flags.oneOf("controllers", ["*", "none"]) !== "none",
    nodeOrder: flags.list("node-order"),
    durability: (flags.oneOf("durability", durabilities) ?? "disk") as DurabilityFlag,
    eventTtlSeconds: flags.number("event-ttl") ?? 3600,
    verbosity: flags.number("v") ?? 2,
    ignored: flags.ignored,
  };
}

const orElse = (values: string[], value: string): string[] => (values.length > 0 ? values : [value]);

/** Two files that are nothing without each other. */
function pair(flags: FlagReader, cert: string, key: string): { certFile: string; keyFile: string } | undefined {
  const [certFile, keyFile] = [flags.text(cert), flags.text(key)];
  if ((certFile === undefined) !== (keyFile === undefined))
    throw flags.error(certFile === undefined ? cert : key, `needed with --${certFile === undefined ? key : cert}`);
  return certFile !== undefined && keyFile !== undefined ? { certFile, keyFile } : undefined;
}

function modesOf(flags: FlagReader): ModeFlag[] {
  const given = orElse(flags.list("authorization-mode"), "Node,RBAC").flatMap((text) => text.split(","));
  const unknown = given.find((mode) => !modes.includes(mode));
  if (unknown !== undefined) throw flags.error("authorization-mode", `"${unknown}"; allowed are ${modes.join(", ")}`);
  return given as ModeFlag[];
}

function portRange(flags: FlagReader): [number, number] {
  const text = flags.text("service-node-port-range") ?? "30000-32767";
  const [, first, last] = /^(\d+)-(\d+)$/.exec(text) ?? [];
  const range: [number, number] = [Number(first), Number(last)];
  if (!(range[0] >= 1 && range[0] <= range[1] && range[1] <= 65_535))
    throw flags.error("service-node-port-range", `"${text}"; allowed is FIRST-LAST, such as 30000-32767`);
  return range;
}
