import { notAcceptable } from "../errors.ts";

/** Which form of an answer the client wants. */
export type AnswerForm = "object" | "table" | "metadata";

/** One item of an Accept header. */
export interface MediaRange {
  /** `application/json`, in lower case. */
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** The items of an Accept header in their order; one that accepts everything where there is no header. */
export function mediaRanges(accept: string | undefined): MediaRange[] {
  return (accept || "*/*").split(",").map((item) => {
    const [type = "", ...rest] = item.split(";").map((p) => p.trim());
    const parameters = rest.map((p) => [p.slice(0, p.indexOf("=")), p.slice(p.indexOf("=") + 1)] as const);
    return { type: type.toLowerCase(), parameters: new Map(parameters) };
  });
}

const objectTypes = new Set(["application/json", "application/yaml", "application/*", "*/*"]);

/**
 * Reads an Accept header; the first form we can serve wins. JSON is sent even where only YAML or protobuf was asked
 * for. Throws the 406 of a client that takes none of these.
 */
export function acceptedForm(accept: string | undefined): AnswerForm {
  if (accept === "application/json") return "object";
  let other: AnswerForm | undefined;
  for (const { type, parameters } of mediaRanges(accept)) {
    const as = parameters.get("as");
    if (type.startsWith("application/vnd.kubernetes.protobuf") && as === undefined) other ??= "object";
    if (!objectTypes.has(type)) continue;
    if (as === undefined) return "object";
    if (parameters.get("g") !== "meta.k8s.io" || parameters.get("v") !== "v1") continue;
    if (as === "Table") return "table";
    if (as === "PartialObjectMetadata" || as === "PartialObjectMetadataList") return "metadata";
  }
  if (other) return other;
  throw notAcceptable(["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"]);
}
