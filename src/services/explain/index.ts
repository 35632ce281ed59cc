/** What a node does for a Service or an address, step by step, each with the object and field that says so. Pure. */
export { type Answer, explainQuestion } from "./answer.ts";
export type { ClusterObjects, ProxyFacts, Viewpoint } from "./situation.ts";
export { answerText } from "./text.ts";
