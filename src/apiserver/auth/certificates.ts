import { equalJson } from "#base/json.ts";
import { organizationsOf } from "../kinds/certificates/pkcs10.ts";
import type { User } from "../kinds/definition.ts";
import type { StoredObject } from "../object.ts";
import { type AdmissionCheck, type Admitted, refuseWrite } from "./admission.ts";
import { type Authorizer, noAttributes } from "./attributes.ts";
import { superusers } from "./authorize.ts";

const group = "certificates.k8s.io";
/** The signer whose certificates this server takes as its clients'. */
const clientSigner = "kubernetes.io/kube-apiserver-client";

interface Request {
  readonly spec?: { readonly signerName?: string; readonly request?: string };
  readonly status?: { readonly certificate?: string; readonly conditions?: unknown };
}

const isRequest = ({ kind }: Admitted) => kind.storage === `certificatesigningrequests.${group}`;

/**
 * The admission plugin CertificateApproval: requests are approved by those who may do that for their signer
 * (kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#authorization; so of the other two).
 */
export function approvalCheck(authorizer: Authorizer): AdmissionCheck {
  return (write) => {
    if (isRequest(write) && write.old && write.object && write.subresource === "approval")
      onDecision(authorizer, write, write.old, "approve");
  };
}

/** The admission plugin CertificateSigning: requests are signed by those who may do that for their signer. */
export function signingCheck(authorizer: Authorizer): AdmissionCheck {
  return (write) => {
    const { object, old, subresource } = write;
    if (isRequest(write) && old && object && subresource === "status" && signs(object, old))
      onDecision(authorizer, write, old, "sign");
  };
}

/** The admission plugin CertificateSubjectRestriction: no request is made for a superuser. */
export const subjectCheck: AdmissionCheck = (write) => {
  if (!isRequest(write) || write.operation !== "CREATE" || !write.object) return;
  const { signerName, request = "" } = (write.object as Request).spec ?? {};
  if (signerName === clientSigner && organizationsOf(request).includes(superusers))
    throw refuseWrite(write, `use of ${clientSigner} signer with ${superusers} group is not allowed`);
};

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
