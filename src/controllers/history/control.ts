import {
  type ControllerRevision,
  type Index,
  isAlreadyExists,
  isNotFound,
  type LabelSelector,
  matchesSelector,
  resources,
} from "#api/index.ts";
import { equalJson } from "#base/json.ts";
import type { ControllerContext } from "../context.ts";
import { controllerOf, controllerReference } from "../objects.ts";
import { type HistoryRules, isFree, planHistory, surplusRevisions, type Versioned } from "./plan.ts";

/** The revision of an object's present template, and all that it owns. */
export interface History {
  readonly update: ControllerRevision;
  readonly revisions: readonly ControllerRevision[];
  /** Names that were taken by another template, so far. */
  readonly collisions: number;
}

type Owner = Versioned & {
  readonly spec: { readonly selector: LabelSelector };
  readonly status?: { readonly collisionCount?: number };
};

/** Keeps the ControllerRevisions of one kind. */
export class HistoryControl {
  readonly #context: ControllerContext;
  readonly #rules: HistoryRules;
  readonly #byOwner: Index<ControllerRevision>;

  constructor(context: ControllerContext, rules: HistoryRules) {
    this.#context = context;
    this.#rules = rules;
    const informer = context.informer(resources.controllerRevisions);
    this.#byOwner = informer.index((one) => [controllerOf(one)?.uid ?? `free/${one.metadata.namespace}`]);
  }

  /** Makes sure that the present template has its revision, and that this one is the newest. */
  async sync(owner: Owner): Promise<History> {
    const informer = this.#context.informer(resources.controllerRevisions);
    await this.#adopt(owner);
    let collisions = owner.status?.collisionCount ?? 0;
    for (;;) {
      const plan = planHistory(owner, this.#owned(owner), this.#rules, collisions);
      if (plan.present) {
        const update = plan.renumber === undefined ? plan.present : await this.#renumber(plan.present, plan.renumber);
        return { update, revisions: this.#owned(owner), collisions };
      }
      const wanted = plan.create as ControllerRevision;
      const created = await this.#create(wanted);
      if (created) {
        informer.assume(created);
        return { update: created, revisions: this.#owned(owner), collisions };
      }
      collisions++;
    }
  }

  /** Deletes revisions beyond the history limit. @param live names of revisions that pods or the status show */
  async truncate(owner: Owner, live: ReadonlySet<string>): Promise<void> {
    for (const { metadata } of surplusRevisions(owner, this.#owned(owner), live)) {
      try {
        const body = { preconditions: { uid: metadata.uid } };
        await this.#context.client.delete(resources.controllerRevisions, metadata.name, metadata.namespace, body);
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
  }

  #owned(owner: Owner): ControllerRevision[] {
    return this.#byOwner.get(owner.metadata.uid ?? "");
  }

  async #adopt(owner: Owner): Promise<void> {
    if (owner.metadata.deletionTimestamp !== undefined) return;
    const free = this.#byOwner
      .get(`free/${owner.metadata.namespace}`)
      .filter((one) => isFree(one) && matchesSelector(owner.spec.selector, one.metadata.labels));
    for (const { metadata } of free) {
      const { name, namespace, uid, resourceVersion } = metadata;
      const ownerReferences = [...(metadata.ownerReferences ?? []), controllerReference(this.#rules.of, owner)];
      const patch = { metadata: { uid, resourceVersion, ownerReferences } };
      const of = resources.controllerRevisions;
      const taken = await this.#context.client.patch(of, name, namespace, patch, { type: "merge" });
      this.#context.informer(of).assume(taken);
    }
  }

  async #renumber({ metadata }: ControllerRevision, revision: number): Promise<ControllerRevision> {
    const of = resources.controllerRevisions;
    const options = { type: "merge" } as const;
    const patched = await this.#context.client.patch(of, metadata.name, metadata.namespace, { revision }, options);
    this.#context.informer(of).assume(patched);
    return patched;
  }

  /** Undefined when another template has the name. */
  async #create(wanted: ControllerRevision): Promise<ControllerRevision | undefined> {
    try {
      return await this.#context.client.create(resources.controllerRevisions, wanted);
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      const { name, namespace } = wanted.metadata;
      const there = await this.#context.client.get(resources.controllerRevisions, name, namespace);
      const own = controllerOf(there)?.uid === controllerOf(wanted)?.uid;
      return own && equalJson(there.data, wanted.data) ? there : undefined;
    }
  }
}
