import { parseCron } from "#base/cron.ts";
import { errorMessage } from "#base/errors.ts";

/** Why a text is no schedule of a CronJob, in the words of github.com/robfig/cron; undefined when it is one. */
export function cronProblem(schedule: string): string | undefined {
  try {
    parseCron(schedule);
    return undefined;
  } catch (error) {
    return errorMessage(error);
  }
}
