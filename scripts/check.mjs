// npm run check: everything that needs no running.
import { runChecks } from "./lib/checks.mjs";
import { ensureModules } from "./lib/modules.mjs";
import { runMain } from "./lib/say.mjs";

await runMain(async () => {
  await ensureModules();
  const { failed } = await runChecks();
  return failed === 0 ? 0 : 1;
});
