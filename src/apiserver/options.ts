import { kubernetesVersion } from "#api/index.ts";
import type { AdmissionPlugin } from "./admission/names.ts";
import type { AuthenticationOptions } from "./auth/authenticate.ts";
import type { ConnectionLimits } from "./net/connections.ts";
import type { ServiceRanges } from "./services/allocator.ts";
import type { StoreOptions } from "./store/index.ts";

/** Values of --authorization-mode. */
export type AuthorizationMode = "Node" | "RBAC" | "AlwaysAllow" | "AlwaysDeny";

/** How an API server is set up. Certificates and keys are PEM texts. */
export interface ApiServerOptions {
  /** Address and port to listen on; port 0 takes a free one. Absent: only inherited descriptors. */
  readonly listen?: { readonly host: string; readonly port: number };
  /** Descriptors of listening sockets that were handed over. */
  readonly listenFds?: readonly number[];
  /** Endpoint of Service `kubernetes`. */
  readonly advertiseAddress: string;
  readonly securePort: number;
  readonly tls: {
    readonly cert: string;
    readonly key: string;
    /** Default TLSv1.2. */
    readonly minVersion?: "TLSv1.2" | "TLSv1.3";
    /** The TLS library's names of suites, joined by colons; default: the library's. */
    readonly ciphers?: string;
  };
  /** Longest time that the head of a request over HTTP/1 may take, in ms; default 60,000 as Node's. */
  readonly headersTimeoutMs?: number;
  /** How many connections there may be; default: what this process can have. */
  readonly connections?: ConnectionLimits;
  /** Whoever signed client certificates; absent: certificates prove nothing. */
  readonly clientCa?: string;
  readonly serviceAccounts: {
    readonly issuer: string;
    /** Issuers whose tokens count too. */
    readonly otherIssuers?: readonly string[];
    readonly signingKey?: string;
    readonly verificationKeys?: readonly string[];
    /** Audiences of this API; default: the issuers. */
    readonly audiences?: readonly string[];
    /** Where clients are told to get the keys; default: at the advertised address. */
    readonly jwksUri?: string;
    /** Longest life of a token in seconds; absent: as long as the API allows. */
    readonly maxSeconds?: number;
    /** Tokens that agents ask for by default live a year; default true. */
    readonly extend?: boolean;
  };
  /** Client credentials beside certificates and ServiceAccount tokens. */
  readonly authentication?: AuthenticationOptions;
  /** Admission plugins that are off; default none. */
  readonly disabledPlugins?: readonly AdmissionPlugin[];
  /** Who decides, in this order; default Node, RBAC. */
  readonly authorization?: readonly AuthorizationMode[];
  /** How node agents are reached. Absent: logs, exec and proxies answer 503. */
  readonly kubelet?: { readonly cert: string; readonly key: string; readonly ca?: string };
  /** Addresses that pods, endpoints and nodes may lead a proxy to. Default: none that is this machine's own. */
  readonly proxyable?: (address: string) => boolean;
  readonly services: ServiceRanges;
  /** How long Events are kept after their last change; default an hour. */
  readonly eventTtlSeconds?: number;
  readonly store?: StoreOptions;
}

/** The version that this server says it is: kubectl and others decide by it. */
export const serverVersion = {
  major: "1",
  minor: "36",
  emulationMajor: "1",
  emulationMinor: "36",
  minCompatibilityMajor: "1",
  minCompatibilityMinor: "35",
  gitVersion: kubernetesVersion,
  gitCommit: "",
  gitTreeState: "clean",
  buildDate: "1970-01-01T00:00:00Z",
  goVersion: "go0",
  compiler: "node",
  platform: `linux/${process.arch === "x64" ? "amd64" : process.arch}`,
} as const;
