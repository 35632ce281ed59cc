import { core } from "./core.ts";
import { definitionSamples } from "./definitions.ts";
import { devices } from "./devices.ts";
import { extensions } from "./extensions.ts";
import { moreInvalid } from "./invalid.ts";
import { others } from "./others.ts";
import { pods } from "./pods.ts";
import type { Sample } from "./sample.ts";
import { scaling } from "./scaling.ts";
import { workloads } from "./workloads.ts";

export type { Sample } from "./sample.ts";

const rows: readonly Sample[] = [
  ...core,
  ...pods,
  ...workloads,
  ...others,
  ...scaling,
  ...extensions,
  ...devices,
  ...definitionSamples,
];

/** One row for every kind that is served. */
export const samples: readonly Sample[] = rows.map((sample) => ({
  ...sample,
  invalid: [...(sample.invalid ?? []), ...(moreInvalid[`${sample.apiVersion} ${sample.kind}`] ?? [])],
}));
