// vitest's global setup of the projects whose tests start programs: they run the sources as they are now, also when
// vitest is started by hand.
import { ensureBundles } from "./bundle.mjs";

/** Bundles when a source changed, unless the run that began this one has seen to it. */
export async function setup() {
  if (process.env.PODWIRE_BUNDLES !== "made") await ensureBundles();
}
