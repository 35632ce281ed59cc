// vitest's global setup of the projects whose tests start programs: they run the sources as they are now, also when
// vitest is started by hand.
import { ensureBundles } from "./bundle.mjs";
import { ensureTools } from "./tools.mjs";

/** Does what `podwire` does before it starts, unless the run that began this one has seen to it. */
export async function setup() {
  if (process.env.PODWIRE_BUNDLES === "made") return;
  await ensureBundles();
  await ensureTools({ install: false });
}
