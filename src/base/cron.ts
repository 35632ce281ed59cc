import { PodwireError } from "./errors.ts";

/** A schedule of minutes, hours, days and months; or, with `everyMs`, of equal intervals. */
export interface CronSchedule {
  readonly minutes: ReadonlySet<number>;
  readonly hours: ReadonlySet<number>;
  readonly days: ReadonlySet<number>;
  readonly months: ReadonlySet<number>;
  /** 0: Sunday. */
  readonly weekdays: ReadonlySet<number>;
  /** Whether days of the month (or of the week) were given as `*`: if neither is, one of both is enough. */
  readonly anyDay: boolean;
  readonly anyWeekday: boolean;
  readonly everyMs?: number;
}

const monthNames = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const dayNames = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const macros: Readonly<Record<string, string>> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};

/**
 * Reads the five fields of a crontab, a macro such as `@hourly`, or `@every 1h30m`. Throws PodwireError
 * `InvalidSchedule`. Grammar and messages: github.com/robfig/cron ParseStandard, which Kubernetes uses.
 */
export function parseCron(text: string): CronSchedule {
  if (text === "") throw invalid("empty spec string");
  if (text.startsWith("@every ")) return { ...parseCron("* * * * *"), everyMs: parseDuration(text.slice(7), text) };
  const spec = text.startsWith("@") ? macros[text] : text;
  if (spec === undefined) throw invalid(`unrecognized descriptor: ${text}`);
  const fields = spec.split(/\s+/).filter(Boolean);
  if (fields.length !== 5) {
    throw invalid(`expected exactly 5 fields, found ${fields.length}: [${fields.join(" ")}]`);
  }
  const [minute = "", hour = "", day = "", month = "", weekday = ""] = fields;
  return {
    minutes: parseField(minute, { min: 0, max: 59 }),
    hours: parseField(hour, { min: 0, max: 23 }),
    days: parseField(day, { min: 1, max: 31 }),
    months: parseField(month, { min: 1, max: 12, names: monthNames }),
    weekdays: parseField(weekday, { min: 0, max: 6, names: dayNames }),
    anyDay: isAny(day),
    anyWeekday: isAny(weekday),
  };
}

interface Bounds {
  readonly min: number;
  readonly max: number;
  /** Of the values from `min` on. */
  readonly names?: readonly string[];
}

const isAny = (field: string): boolean => field.split(",").some((part) => part === "*" || part === "?");

function parseField(field: string, bounds: Bounds): Set<number> {
  const values = new Set<number>();
  for (const part of field.split(",")) for (const value of parseRange(part, bounds)) values.add(value);
  return values;
}

/** A star, `5`, `5-10`, each also with a step behind a slash; `5/10` goes from 5 on. */
function parseRange(part: string, bounds: Bounds): number[] {
  const [range = "", stepText, ...more] = part.split("/");
  if (more.length > 0) throw invalid(`too many slashes: ${part}`);
  const step = stepText === undefined ? 1 : parseNumber(stepText);
  const [low = "", high, ...others] = range.split("-");
  if (others.length > 0) throw invalid(`too many hyphens: ${part}`);
  const all = low === "*" || low === "?";
  const first = all ? bounds.min : parseValue(low, bounds);
  const last = all || (high === undefined && stepText !== undefined) ? bounds.max : parseValue(high ?? low, bounds);
  if (first < bounds.min) throw invalid(`beginning of range (${first}) below minimum (${bounds.min}): ${part}`);
  if (last > bounds.max) throw invalid(`end of range (${last}) above maximum (${bounds.max}): ${part}`);
  if (first > last) throw invalid(`beginning of range (${first}) beyond end of range (${last}): ${part}`);
  if (step === 0) throw invalid(`step of range should be a positive number: ${part}`);
  return Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, i) => first + i * step);
}

function parseValue(text: string, { min, names }: Bounds): number {
  const named = names?.indexOf(text.toLowerCase()) ?? -1;
  return named >= 0 ? named + min : parseNumber(text);
}

function parseNumber(text: string): number {
  if (!/^\d+$/.test(text))
    throw invalid(`failed to parse int from ${text}: strconv.Atoi: parsing "${text}": invalid syntax`);
  return Number(text);
}

const unitMs: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1, us: 1e-3, ns: 1e-6 };

/** A duration in Go's text form; whole seconds, one at least. */
function parseDuration(text: string, whole: string): number {
  if (!/^(\d+(\.\d+)?(h|ms|us|ns|m|s))+$/.test(text)) {
    throw invalid(`failed to parse duration ${whole}: time: invalid duration "${text}"`);
  }
  let ms = 0;
  for (const [, amount, unit = ""] of text.matchAll(/(\d+(?:\.\d+)?)(h|ms|us|ns|m|s)/g)) {
    ms += Number(amount) * (unitMs[unit] ?? 0);
  }
  return Math.max(1000, Math.floor(ms / 1000) * 1000);
}

function invalid(message: string): PodwireError {
  return new PodwireError("InvalidSchedule", message);
}

/** Milliseconds that a time zone is ahead of UTC at an instant. Throws RangeError for an unknown zone. */
export function zoneOffsetMs(timeZone: string, instant: number): number {
  if (timeZone === "UTC") return 0;
  const format = new Intl.DateTimeFormat("en-US", {
    ...{ timeZone, hourCycle: "h23", era: "short" },
    ...{ year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric" },
  });
  const part: Record<string, number> = {};
  for (const { type, value } of format.formatToParts(instant)) part[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(instant / 1000) * 1000;
}

/** How many days are looked through for the next time: five years, as upstream. */
const horizonDays = 5 * 366;
const dayMs = 24 * 3_600_000;

/** The first time of a schedule after an instant; undefined when there is none within five years. */
export function nextCron(schedule: CronSchedule, after: Date, timeZone = "UTC"): Date | undefined {
  if (schedule.everyMs !== undefined) return new Date(Math.floor(after.getTime() / 1000) * 1000 + schedule.everyMs);
  const from = after.getTime();
  const local = from + zoneOffsetMs(timeZone, from);
  // The day before too: clocks may have been put back over midnight.
  const firstDay = Math.floor(local / dayMs) * dayMs - dayMs;
  for (let n = 0; n < horizonDays; n++) {
    const day = firstDay + n * dayMs;
    if (!matchesDay(schedule, new Date(day))) continue;
    const found = timesOfDay(schedule, day, timeZone).find((instant) => instant > from);
    if (found !== undefined) return new Date(found);
  }
  return undefined;
}

function matchesDay(schedule: CronSchedule, day: Date): boolean {
  if (!schedule.months.has(day.getUTCMonth() + 1)) return false;
  const byDay = schedule.days.has(day.getUTCDate());
  const byWeekday = schedule.weekdays.has(day.getUTCDay());
  return schedule.anyDay || schedule.anyWeekday ? byDay && byWeekday : byDay || byWeekday;
}

/** Instants of a local day, in order. Wall-clock times that clocks leave out do not exist. */
function timesOfDay(schedule: CronSchedule, day: number, timeZone: string): number[] {
  const offsets = new Set([zoneOffsetMs(timeZone, day - dayMs), zoneOffsetMs(timeZone, day + 2 * dayMs)]);
  const times = new Set<number>();
  for (const hour of schedule.hours) {
    for (const minute of schedule.minutes) {
      const local = day + hour * 3_600_000 + minute * 60_000;
      for (const offset of offsets) {
        const instant = local - offset;
        if (offsets.size === 1 || zoneOffsetMs(timeZone, instant) === offset) times.add(instant);
      }
    }
  }
  return [...times].sort((a, b) => a - b);
}
