/** Schedules of CronJobs, with the words of github.com/robfig/cron v3, which upstream parses them with. */

interface Part {
  readonly least: number;
  readonly most: number;
  readonly names: readonly string[];
}

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/** minute, hour, day of month, month, day of week. */
const parts: readonly Part[] = [
  { least: 0, most: 59, names: [] },
  { least: 0, most: 23, names: [] },
  { least: 1, most: 31, names: [] },
  { least: 1, most: 12, names: months },
  { least: 0, most: 6, names: days },
];

const macros = new Set(["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"]);

/** Why a text is no schedule; undefined when it is one. */
export function cronProblem(schedule: string): string | undefined {
  if (schedule.startsWith("@")) {
    if (macros.has(schedule)) return undefined;
    if (/^@every (\d+(\.\d+)?(ns|us|ms|s|m|h))+$/.test(schedule)) return undefined;
    if (schedule.startsWith("@every "))
      return `failed to parse duration ${schedule}: time: invalid duration ${JSON.stringify(schedule.slice(7))}`;
    return `unrecognized descriptor: ${schedule}`;
  }
  const fields = schedule.split(/\s+/).filter(Boolean);
  if (fields.length !== parts.length) return `expected exactly 5 fields, found ${fields.length}: [${fields.join(" ")}]`;
  for (const [i, field] of fields.entries()) {
    for (const range of field.split(",")) {
      const problem = rangeProblem(range, parts[i] as Part);
      if (problem) return problem;
    }
  }
  return undefined;
}

/** Why `a`, `a-b`, `*` or one of these with `/n` does not fit a field. */
function rangeProblem(text: string, part: Part): string | undefined {
  const [range = "", step, ...tooMany] = text.split("/");
  const [low = "", high, ...more] = range.split("-");
  if (more.length > 0) return `too many hyphens: ${text}`;
  if (tooMany.length > 0) return `too many slashes: ${text}`;
  const wild = low === "*" || low === "?";
  const start = wild ? part.least : valueIn(low, part);
  if (typeof start === "string") return start;
  const end = high === undefined ? (wild || step !== undefined ? part.most : start) : valueIn(high, part);
  if (typeof end === "string") return end;
  if (step !== undefined) {
    if (!/^\d+$/.test(step))
      return `failed to parse int from ${step}: strconv.Atoi: parsing ${JSON.stringify(step)}: invalid syntax`;
    if (Number(step) === 0) return `step of range should be a positive number: ${text}`;
  }
  if (start < part.least) return `beginning of range (${start}) below minimum (${part.least}): ${text}`;
  if (end > part.most) return `end of range (${end}) above maximum (${part.most}): ${text}`;
  if (start > end) return `beginning of range (${start}) beyond end of range (${end}): ${text}`;
  return undefined;
}

function valueIn(text: string, { names, least }: Part): number | string {
  const named = names.indexOf(text.toLowerCase());
  if (named >= 0) return named + least;
  if (/^\d+$/.test(text)) return Number(text);
  return `failed to parse int from ${text}: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`;
}
