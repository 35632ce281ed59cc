/**
 * Files of `test/e2e` that run when the others have ended: their tests compare the whole machine before and after, kill
 * processes found on it, or look at times. In `npm test` two of them run at a time, since what a cluster that is watched
 * leaves is told from what another one makes meanwhile; the long ones have the machine to themselves.
 */
export const aloneFiles = [
  "agentRestart",
  "chaos.long",
  "ending",
  "kill",
  "kill.long",
  "launcherEnding",
  "nodeLoss.long",
  "privileged.long",
  "streamFlow.long",
  "twoClusters",
] as const;
