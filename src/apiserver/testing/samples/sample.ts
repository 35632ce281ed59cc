import type { Dict } from "../../object.ts";

/** One kind's row in the table that every kind is run through. */
export interface Sample {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
  readonly name?: string;
  /** A valid object without metadata. */
  readonly body: Dict;
  /** What the server adds to it. */
  readonly defaulted?: Dict;
  /** Changes that make it invalid, and what the answer must say (upstream's wording). */
  readonly invalid?: readonly (readonly [Dict, string])[];
  /** A change that is refused once the object exists. */
  readonly immutable?: readonly [Dict, string];
  /** Column names of the Table. */
  readonly columns: string;
  /** The new object's cells, without the name in front. Absent: not compared. */
  readonly cells?: readonly unknown[];
}

/** Parts that several samples share. */
export const container = { name: "main", image: "podwire/echo:1" };
export const template = { metadata: { labels: { app: "x" } }, spec: { containers: [container] } };
export const selector = { matchLabels: { app: "x" } };
export const age = "0s";
export const dnsLabel = "a lowercase RFC 1123 label must consist of";
