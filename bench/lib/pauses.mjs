// Loaded by --import into a program that is measured: it says on SIGUSR2 how long its event loop stood still at most
// since the last time it was asked, in milliseconds.
import { monitorEventLoopDelay } from "node:perf_hooks";

const resolution = 1;
const delay = monitorEventLoopDelay({ resolution });
delay.enable();
process.on("SIGUSR2", () => {
  process.stderr.write(`longest pause ${(delay.max / 1e6 - resolution).toFixed(1)} ms\n`);
  delay.reset();
});
