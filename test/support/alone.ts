/**
 * Files of `test/e2e` that have the machine to themselves: their tests compare the whole machine before and after, kill
 * processes found on it, or measure times.
 */
export const aloneFiles = [
  "agentRestart",
  "chaos.long",
  "controlPlaneRestart",
  "ending",
  "firstLight",
  "kill",
  "kill.long",
  "launcherEnding",
  "nodeLoss.long",
  "otherKernel",
  "privileged",
  "privileged.long",
  "safety",
  "streamFlow.long",
  "surroundings",
  "twoClusters",
] as const;
