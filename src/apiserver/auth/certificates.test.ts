import "reflect-metadata";
import { Pkcs10CertificateRequestGenerator } from "@peculiar/x509";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Transport } from "#api/index.ts";
import { keyPair } from "../testing/certificates.ts";
import { ask } from "../testing/client.ts";
import { startTestServer, type TestServer } from "../testing/server.ts";

const base = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const rbac = "/apis/rbac.authorization.k8s.io/v1";
const apiGroup = "rbac.authorization.k8s.io";
const group = "certificates.k8s.io";
const client = "kubernetes.io/kube-apiserver-client";

let test: TestServer;
let admin: Transport;

beforeAll(async () => {
  test = await startTestServer();
  admin = test.server.localTransport({ name: "admin", groups: ["system:masters"] });
});
afterAll(() => test.stop());

/** spec.request for a subject. */
async function pkcs10(subject: Record<string, string[]>[]): Promise<string> {
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: subject,
    keys: await keyPair(),
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
  });
  return Buffer.from(request.toString("pem")).toString("base64");
}

async function create(name: string, signerName: string, ...subject: Record<string, string[]>[]) {
  const spec = { request: await pkcs10(subject), signerName, usages: ["client auth"] };
  return (await ask(admin, "POST", base, { metadata: { name }, spec })).body;
}

/** Somebody who may write requests' parts and do these things on these signers. */
async function somebody(name: string, verbs: string[], resourceNames: string[]): Promise<Transport> {
  const rules = [
    { apiGroups: [group], resources: ["certificatesigningrequests/approval"], verbs: ["update"] },
    { apiGroups: [group], resources: ["certificatesigningrequests/status"], verbs: ["update"] },
    { apiGroups: [group], resources: ["signers"], verbs, resourceNames },
  ];
  await ask(admin, "POST", `${rbac}/clusterroles`, { metadata: { name }, rules });
  await ask(admin, "POST", `${rbac}/clusterrolebindings`, {
    metadata: { name },
    roleRef: { apiGroup, kind: "ClusterRole", name },
    subjects: [{ apiGroup, kind: "User", name }],
  });
  return test.server.localTransport({ name, groups: ["system:authenticated"] });
}

const refusal = (name: string, why: string) =>
  `certificatesigningrequests.certificates.k8s.io "${name}" is forbidden: ${why}`;

describe("who may approve and sign certificate requests", () => {
  it("nobody asks for a superuser's client certificate", async () => {
    const why = refusal("root", `use of ${client} signer with system:masters group is not allowed`);
    for (const subject of [
      [{ O: ["system:masters"] }, { CN: ["root"] }],
      [{ O: ["other"] }, { O: ["system:masters"], CN: ["root"] }],
    ]) {
      const { code, message } = await create("root", client, ...subject);
      expect([code, message]).toEqual([403, why]);
    }
    expect((await create("fine", client, { O: ["dev"], CN: ["system:masters"] })).code).toBeUndefined();
    expect((await create("other", "example.com/own", { O: ["system:masters"] })).code).toBeUndefined();
  });

  it("approval asks for approve on the signer, or on all of its domain", async () => {
    const made = await create("approved", "example.com/one", { CN: ["x"] });
    const status = { conditions: [{ type: "Approved", status: "True", reason: "r", message: "m" }] };
    const approve = async (who: Transport) =>
      (await ask(who, "PUT", `${base}/approved/approval`, { ...made, status })).body;
    const why = refusal("approved", 'user not permitted to approve requests with signerName "example.com/one"');
    for (const who of [
      await somebody("none", ["attest"], ["example.com/one"]),
      await somebody("signer", ["sign"], ["example.com/one"]),
      await somebody("elsewhere", ["approve"], ["example.com/two", "example.org/*"]),
    ]) {
      const { code, message } = await approve(who);
      expect([code, message]).toEqual([403, why]);
    }
    expect((await approve(await somebody("domain", ["approve"], ["example.com/*"]))).code).toBeUndefined();
  });

  it("a status with a certificate or conditions asks for sign", async () => {
    const made = await create("signed", "example.com/one", { CN: ["x"] });
    const sign = async (who: Transport, status: object) =>
      (await ask(who, "PUT", `${base}/signed/status`, { ...made, metadata: { name: "signed" }, status })).body;
    const plain = await somebody("approver", ["approve"], ["example.com/one"]);
    const why = refusal("signed", 'user not permitted to sign requests with signerName "example.com/one"');
    const failed = { conditions: [{ type: "Failed", status: "True", reason: "r", message: "m" }] };
    const certificate = { certificate: Buffer.from(test.authority.cert).toString("base64") };
    for (const status of [failed, certificate]) expect((await sign(plain, status)).message).toBe(why);
    // What changes neither needs no signer's right.
    expect((await sign(plain, {})).code).toBeUndefined();
    const signer = await somebody("exact", ["sign"], ["example.com/one"]);
    expect((await sign(signer, certificate)).code).toBeUndefined();
  });
});
