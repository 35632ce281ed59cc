/** Which form of an answer the client wants. */
export type AnswerForm = "object" | "table" | "metadata";

/** Reads an Accept header; the first form we can serve wins. JSON is sent even where only protobuf was asked for. */
export function acceptedForm(accept: string | undefined): AnswerForm {
  for (const item of (accept ?? "").split(",")) {
    const [type = "", ...parameters] = item.split(";").map((p) => p.trim());
    const values = new Map(parameters.map((p) => [p.slice(0, p.indexOf("=")), p.slice(p.indexOf("=") + 1)] as const));
    if (type !== "application/json" && type !== "*/*" && type !== "application/*" && type !== "application/yaml")
      continue;
    const as = values.get("as");
    if (as === undefined) return "object";
    if (values.get("g") !== "meta.k8s.io" || values.get("v") !== "v1") continue;
    if (as === "Table") return "table";
    if (as === "PartialObjectMetadata" || as === "PartialObjectMetadataList") return "metadata";
  }
  return "object";
}
