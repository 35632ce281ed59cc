import { type KubeObject, type Resource, referenceTo } from "#api/index.ts";
import type { ControllerContext } from "../context.ts";

/** Kinds that are stored, validated and shown, while nothing acts on them yet; and what a person misses then. */
const UNATTENDED: Readonly<Record<string, string>> = {
  certificatesigningrequests: "nothing signs it, approved or not",
  csidrivers: "no volume is attached or mounted by it",
  csinodes: "no volume is attached or mounted by it",
  csistoragecapacities: "no volume is placed by it",
  deviceclasses: "no device is allocated by it",
  flowschemas: "no request is queued because of it",
  mutatingadmissionpolicies: "no request is changed by it",
  mutatingadmissionpolicybindings: "no request is changed by it",
  mutatingwebhookconfigurations: "its webhooks are not called",
  prioritylevelconfigurations: "no request is queued because of it",
  validatingadmissionpolicies: "no request is refused by it",
  validatingadmissionpolicybindings: "no request is refused by it",
  validatingwebhookconfigurations: "its webhooks are not called",
  resourceclaims: "no device is allocated for it",
  resourceclaimtemplates: "no claim is made of it",
  resourceslices: "its devices are not allocated",
  volumeattachments: "no volume is attached",
  volumeattributesclasses: "no volume is changed",
  horizontalpodautoscalers: "nothing is scaled",
  networkpolicies: "no packet is dropped because of it",
  persistentvolumeclaims: "no volume is bound to it",
  persistentvolumes: "no claim is bound to it",
};

/** Says of every object that is made, by an event on it, when nothing in this cluster will act on it. */
export function unattendedController(context: ControllerContext, served: readonly Resource<KubeObject>[]): void {
  const started = Math.floor(context.now().getTime() / 1000) * 1000;
  for (const resource of served) {
    const consequence = UNATTENDED[resource.plural];
    if (consequence === undefined) continue;
    context.informer(resource).onChange(({ type, object }) => {
      // What was there before this process has been told already.
      if (type !== "ADDED" || Date.parse(object.metadata.creationTimestamp ?? "") < started) return;
      context
        .recorder("podwire")
        .event(
          referenceTo(resource, object),
          "Warning",
          "NoController",
          `no controller of this cluster acts on ${resource.kind} objects yet: ${consequence}`,
        );
    });
  }
}
