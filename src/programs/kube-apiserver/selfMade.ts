import { createPrivateKey, X509Certificate } from "node:crypto";
import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { homedir, hostname, networkInterfaces } from "node:os";
import { join, resolve } from "node:path";
import { firstAddress } from "#apiserver/index.ts";
import { errorMessage } from "#base/errors.ts";
import { makeFolder } from "#base/folders.ts";
import { type Authority, type KeyPair, kubeconfig, newKeys, openAuthority, pem } from "#lab/pki/index.ts";
import { FlagError, type Flags } from "./flags.ts";

/** Certificates and keys that the command line names or that were made. PEM. */
export interface Credentials {
  readonly tls: KeyPair;
  /** Authorities of client certificates. */
  readonly clientCa: string;
  readonly signingKey: string;
  readonly verificationKeys: readonly string[];
  /** What node agents are shown, and who signed theirs. */
  readonly kubelet?: KeyPair & { readonly ca?: string };
  /** The authority behind the serving certificate, for pods and kubeconfigs. */
  readonly servingCa: string;
  /** Writes an administrator's kubeconfig for a server's URL where the authority is ours. @returns its path */
  writeKubeconfig(server: string): string | undefined;
}

/** The file that a flag names. @throws FlagError naming both */
function given(flag: string, path: string, holds?: "certificates" | "key"): string {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new FlagError(`--${flag}: ${errorMessage(error)}`);
  }
  try {
    if (holds === "certificates") new X509Certificate(text);
    if (holds === "key") createPrivateKey(text);
  } catch {
    throw new FlagError(`--${flag}: ${path} holds no ${holds === "key" ? "private key" : "certificate"} in PEM`);
  }
  return text;
}

/** The address that members of the cluster reach this server under: no loopback address where there is another. */
export function advertisedAddress({ advertiseAddress, bindAddress }: Flags): string {
  if (advertiseAddress) return advertiseAddress;
  if (bindAddress && !/^(0\.0\.0\.0|::|127\..*|::1)$/.test(bindAddress)) return bindAddress;
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.find((a) => !a.internal && a.family === "IPv4")?.address ?? "127.0.0.1";
}

/** Where what is missing is made. */
function certDir({ certDir: given, dataDir }: Flags): string {
  if (given) return resolve(given);
  if (dataDir) return resolve(dataDir, "pki");
  return join(process.env["XDG_STATE_HOME"] || join(homedir(), ".local", "state"), "podwire-apiserver");
}

/** Reads what the flags name, and makes the rest in --cert-dir. @throws Error of the file system, naming the file */
export function credentials(flags: Flags): Credentials {
  const folder = new CertFolder(certDir(flags));
  const { tls, clientCaFile, kubelet } = flags;
  const clientCa = clientCaFile ? given("client-ca-file", clientCaFile, "certificates") : folder.authority().cert;
  const kubeletCa = flags.kubeletCertificateAuthority ?? clientCaFile;
  return {
    tls: tls
      ? {
          cert: given("tls-cert-file", tls.certFile, "certificates"),
          key: given("tls-private-key-file", tls.keyFile, "key"),
        }
      : folder.serving(servingNames(flags)),
    clientCa,
    signingKey: flags.serviceAccountSigningKeyFile
      ? given("service-account-signing-key-file", flags.serviceAccountSigningKeyFile, "key")
      : folder.signingKey(),
    verificationKeys: flags.serviceAccountKeyFiles.map((path) => given("service-account-key-file", path)),
    ...(kubelet
      ? {
          kubelet: {
            cert: given("kubelet-client-certificate", kubelet.certFile, "certificates"),
            key: given("kubelet-client-key", kubelet.keyFile, "key"),
            ...(kubeletCa ? { ca: given("kubelet-certificate-authority", kubeletCa, "certificates") } : {}),
          },
        }
      : {}),
    servingCa: tls ? clientCa : folder.authority().cert,
    writeKubeconfig: (server) => (clientCaFile || tls ? undefined : folder.kubeconfig(server)),
  };
}

function servingNames(flags: Flags): string[] {
  const service = [
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
  ];
  const addresses = ["127.0.0.1", advertisedAddress(flags), ...flags.serviceClusterIpRange.map(firstAddress)];
  const bound = flags.bindAddress && !["0.0.0.0", "::"].includes(flags.bindAddress) ? [flags.bindAddress] : [];
  return [...new Set([hostname(), "localhost", ...service, ...addresses, ...bound])];
}

/** A folder (0700) with an authority and what it signed, files 0600. The authority and the token key are kept. */
class CertFolder {
  readonly #path: string;
  #authority: Authority | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  authority(): Authority {
    if (!this.#authority) {
      const [cert, key] = ["ca.crt", "ca.key"].map((name) => this.#read(name));
      this.#authority = openAuthority(cert && key ? { cert, key } : undefined);
      this.#write("ca.crt", this.#authority.cert);
      this.#write("ca.key", this.#authority.key);
    }
    return this.#authority;
  }

  serving(names: readonly string[]): KeyPair {
    const pair = this.authority().issue({ subject: { commonName: "kube-apiserver" }, names, purposes: ["server"] });
    this.#write("apiserver.crt", pair.cert);
    this.#write("apiserver.key", pair.key);
    return pair;
  }

  signingKey(): string {
    const key = this.#read("sa.key") ?? pem(newKeys().privateKey);
    this.#write("sa.key", key);
    return key;
  }

  kubeconfig(server: string): string {
    const subject = { organization: "system:masters", commonName: "kubernetes-admin" };
    const client = this.authority().issue({ subject, purposes: ["client"] });
    const ca = this.authority().cert;
    this.#write("admin.conf", kubeconfig({ cluster: "podwire", user: "kubernetes-admin", server, ca, client }));
    return join(this.#path, "admin.conf");
  }

  #read(name: string): string | undefined {
    const file = join(this.#path, name);
    return existsSync(file) ? readFileSync(file, "utf8") : undefined;
  }

  #write(name: string, content: string): void {
    makeFolder(this.#path);
    chmodSync(this.#path, 0o700);
    const file = join(this.#path, name);
    writeFileSync(`${file}.new`, content, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }
}
