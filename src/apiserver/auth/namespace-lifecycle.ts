import { type AdmissionCheck, refuseWrite } from "./admission.ts";

const lasting = ["default", "kube-system", "kube-public"];

/** The part of the NamespaceLifecycle admission plugin that keeps the cluster's own namespaces. */
export const namespaceLifecycle: AdmissionCheck = (write) => {
  if (write.operation === "DELETE" && write.kind.type === "core.v1.Namespace" && lasting.includes(write.name))
    throw refuseWrite(write, "this namespace may not be deleted");
};
