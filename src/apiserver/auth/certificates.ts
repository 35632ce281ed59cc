import { organizationsOf } from "../kinds/certificates/pkcs10.ts";
import type { User } from "../kinds/definition.ts";
import { equalJson, type StoredObject } from "../object.ts";
import { type AdmissionCheck, type Admitted, refuseWrite } from "./admission.ts";
import { type Authorizer, noAttributes } from "./attributes.ts";
import { superusers } from "./authorize.ts";

const group = "certificates.k8s.io";
/** The signer whose certificates this server takes as its clients'. */
const clientSigner = "kubernetes.io/kube-apiserver-client";

/**
 * The admission plugins CertificateApproval, CertificateSigning and CertificateSubjectRestriction: requests are approved
 * and signed by those who may do that for their signer, and none is made for a superuser
 * (kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#authorization).
 */
export function certificateCheck(authorizer: Authorizer): AdmissionCheck {
  return (write) => {
    const { kind, operation, object, old, subresource } = write;
    if (kind.storage !== `certificatesigningrequests.${group}` || !object) return;
    if (operation === "CREATE") onCreate(write, object);
    else if (old && subresource === "approval") onDecision(authorizer, write, old, "approve");
    else if (old && subresource === "status" && signs(object, old)) onDecision(authorizer, write, old, "sign");
  };
}

interface Request {
  readonly spec?: { readonly signerName?: string; readonly request?: string };
  readonly status?: { readonly certificate?: string; readonly conditions?: unknown };
}

function onCreate(write: Admitted, object: StoredObject): void {
  const { signerName, request = "" } = (object as Request).spec ?? {};
  if (signerName === clientSigner && organizationsOf(request).includes(superusers))
    throw refuseWrite(write, `use of ${clientSigner} signer with ${superusers} group is not allowed`);
}

/** Whether a status is written as a signer writes it. */
function signs(object: StoredObject, old: StoredObject): boolean {
  const part = ({ status }: Request) => [status?.certificate ?? "", status?.conditions ?? []];
  return !equalJson(part(object as Request), part(old as Request));
}

function onDecision(authorizer: Authorizer, write: Admitted, old: StoredObject, verb: "approve" | "sign"): void {
  const signer = (old as Request).spec?.signerName ?? "";
  if (maySign(authorizer, write.user, verb, signer)) return;
  throw refuseWrite(write, `user not permitted to ${verb} requests with signerName ${JSON.stringify(signer)}`);
}

/** For the signer itself or for all of its domain (pkg/certauthorization). */
function maySign(authorizer: Authorizer, user: User, verb: string, signer: string): boolean {
  const names = [signer, `${signer.split("/")[0]}/*`];
  const wanted = { ...noAttributes, verb, group, resource: "signers" };
  return names.some((name) => authorizer.decide(user, { ...wanted, name }).allowed);
}
