// Fails when a folder of src/ imports what its layer may not.
import { layerFaults } from "./lib/layers.mjs";

const faults = layerFaults();
for (const fault of faults) process.stdout.write(`${fault}\n`);
process.exitCode = faults.length > 0 ? 1 : 0;
