import { type Pod, referenceTo, resources } from "#api/index.ts";
import { omittedFromResolvConf } from "../spec/files.ts";
import { unsupportedFields, unsupportedMessage } from "../spec/unsupported.ts";
import type { PodDeps } from "./deps.ts";

type NoticesDeps = Pick<PodDeps, "cgroups" | "dns" | "events">;

/** Says by events what of a pod's spec has no effect, or not the whole one. Each thing is said once. */
export class PodNotices {
  readonly #deps: NoticesDeps;
  /** Fields that were said to be without effect. */
  readonly #said = new Set<string>();
  #looked: number | Pod | undefined;

  /** @param isTakenOver a former agent has said what there was to be said */
  constructor(deps: NoticesDeps, pod: Pod, isTakenOver: boolean) {
    this.#deps = deps;
    if (isTakenOver) for (const { field } of unsupportedFields(pod.spec, deps.cgroups?.bound)) this.#said.add(field);
  }

  /** Fields without effect here; each generation of a spec is looked at once. */
  tellUnsupported(pod: Pod): void {
    const looked = pod.metadata.generation ?? pod;
    if (looked === this.#looked) return;
    this.#looked = looked;
    const fields = unsupportedFields(pod.spec, this.#deps.cgroups?.bound).filter(({ field }) => !this.#said.has(field));
    for (const { field } of fields) this.#said.add(field);
    const message = unsupportedMessage(fields);
    if (message !== undefined) this.#tell(pod, "UnsupportedFields", message);
  }

  /** What the pod's resolv.conf has no room for. */
  tellResolver(pod: Pod): void {
    for (const message of omittedFromResolvConf(pod, this.#deps.dns)) this.#tell(pod, "DNSConfigForming", message);
  }

  #tell(pod: Pod, reason: string, message: string): void {
    this.#deps.events.event(referenceTo(resources.pods, pod), "Warning", reason, message);
  }
}
