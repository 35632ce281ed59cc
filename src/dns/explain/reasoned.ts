import type { ServerAnswer } from "./lookup.ts";
import { aliasOf, type ClusterObjects, reasonOf } from "./reasons.ts";

/** What a cluster's server is asked, and what is known beside its Corefile. */
export interface Asked {
  /** Absolute, lower case. */
  readonly name: string;
  readonly type: string;
  readonly objects: ClusterObjects;
  /** Zones of the server's kubernetes plugins. */
  readonly zones: readonly string[];
  /** Whether servers beyond the cluster can be reached. */
  readonly outside: boolean;
}

/** An answer of the cluster's server with the object behind it, or the reason why there is none. */
export function reasoned(answer: ServerAnswer, asked: Asked): ServerAnswer {
  const { name, type, objects, zones, outside } = asked;
  if (answer.plugin === "kubernetes") return { ...answer, ...reasonOf(objects, zones, name, type, answer) };
  if (answer.outcome !== "unknown") return answer;
  const alias = aliasOf(objects, zones, name);
  if (alias === undefined) return beyond(answer, outside, "servfail");
  // The server gives the alias alone where nobody says what is behind it.
  const { origin, target } = alias;
  const who = `Service ${origin.namespace}/${origin.name} is an alias of ${target.replace(/\.$/, "")}`;
  const because = `${who}: ${answer.because ?? "that is asked elsewhere"}`;
  return beyond({ ...answer, alias: target, origin, because }, outside, "nodata");
}

/** What comes of asking beyond the cluster. @param otherwise while there is no way outside */
export function beyond(
  answer: ServerAnswer,
  outside: boolean,
  otherwise: "unreachable" | "servfail" | "nodata",
): ServerAnswer {
  if (outside) return { ...answer, outcome: "unknown" };
  return { ...answer, outcome: otherwise, because: `${answer.because}; outside is off (podwire up --outside on)` };
}
