import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Pkcs10CertificateRequestGenerator } from "@peculiar/x509";
import { TestAuthority } from "#apiserver/testing/certificates.ts";

/** A folder for a page's shell. */
export interface PageFolder {
  readonly path: string;
  readonly env: NodeJS.ProcessEnv;
  remove(): void;
}

/** What a page's shell is to talk to. */
export interface PageServer {
  /** Path. */
  readonly kubeconfig: string;
  /** URL. */
  readonly server: string;
  /** PEM. */
  readonly ca: string;
}

/** Makes the folder that test/transcripts/README.md tells of; its kubectl is `program`. */
export async function pageFolder(program: string, { kubeconfig, server, ca }: PageServer): Promise<PageFolder> {
  const path = mkdtempSync(join(tmpdir(), "pw-page-"));
  const outside = mkdtempSync(join(tmpdir(), "pw-home-"));
  mkdirSync(join(outside, "bin"));
  symlinkSync(program, join(outside, "bin/kubectl"));
  const pair = await (await TestAuthority.create()).issue("a.example.com");
  const files = { "ca.crt": ca, "tls.crt": pair.cert, "tls.key": pair.key, "user.csr": await signingRequest("jane") };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
  return {
    path,
    env: {
      PATH: `${join(outside, "bin")}:${process.env["PATH"]}`,
      HOME: outside,
      KUBECONFIG: kubeconfig,
      TERM: "dumb",
      TZ: "UTC",
      server,
    },
    remove: () => {
      for (const folder of [path, outside]) rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A certificate signing request, its PEM in base64 as `spec.request` takes it. */
async function signingRequest(commonName: string): Promise<string> {
  const signingAlgorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await webcrypto.subtle.generateKey(signingAlgorithm, true, ["sign", "verify"]);
  const request = await Pkcs10CertificateRequestGenerator.create({ name: `CN=${commonName}`, keys, signingAlgorithm });
  return Buffer.from(`${request.toString("pem")}\n`).toString("base64");
}
