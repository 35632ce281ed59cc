/** Zones from master files: what they answer, and how they are read. */
export * from "./answer.ts";
export * from "./zone.ts";
export * from "./zoneFile.ts";
