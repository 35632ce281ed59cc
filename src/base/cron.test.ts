import { describe, expect, it } from "vitest";
import { nextCron, parseCron } from "./cron.ts";

const next = (schedule: string, time: string, zone?: string) =>
  nextCron(parseCron(schedule), new Date(time), zone)?.toISOString();

describe("schedules of cron", () => {
  const cases: [string, string, string][] = [
    ["* * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00.000Z"],
    ["* * * * *", "2026-01-01T00:00:59Z", "2026-01-01T00:01:00.000Z"],
    ["*/15 * * * *", "2026-01-01T10:46:00Z", "2026-01-01T11:00:00.000Z"],
    ["5/20 3 * * *", "2026-01-01T03:25:00Z", "2026-01-01T03:45:00.000Z"],
    ["0 9-17/4 * * MON-FRI", "2026-01-02T17:00:00Z", "2026-01-05T09:00:00.000Z"],
    ["30 2 1,15 * *", "2026-01-15T02:30:00Z", "2026-02-01T02:30:00.000Z"],
    ["0 0 29 FEB *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00.000Z"],
    // Both days given: one of them is enough (crontab(5)).
    ["0 0 13 * FRI", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00.000Z"],
    ["0 0 13 * FRI", "2026-01-09T00:00:00Z", "2026-01-13T00:00:00.000Z"],
    ["@hourly", "2026-01-01T00:30:00Z", "2026-01-01T01:00:00.000Z"],
    ["@weekly", "2026-01-01T00:30:00Z", "2026-01-04T00:00:00.000Z"],
    ["@yearly", "2026-01-01T00:30:00Z", "2027-01-01T00:00:00.000Z"],
    ["@every 1h30m", "2026-01-01T00:00:10.5Z", "2026-01-01T01:30:10.000Z"],
  ];
  it.each(cases)("%s after %s", (schedule, time, expected) => {
    expect(next(schedule, time)).toBe(expected);
  });

  it("knows that some times never come", () => {
    expect(next("0 0 31 2 *", "2026-01-01T00:00:00Z")).toBeUndefined();
  });

  it("goes by the clocks of a time zone, also when they are changed", () => {
    expect(next("0 9 * * *", "2026-01-01T00:00:00Z", "Asia/Tokyo")).toBe("2026-01-02T00:00:00.000Z");
    expect(next("0 9 * * *", "2026-07-01T00:00:00Z", "America/New_York")).toBe("2026-07-01T13:00:00.000Z");
    // 29 March 2026 in Berlin: 02:30 does not exist. 25 October: 02:30 comes twice.
    expect(next("30 2 * * *", "2026-03-28T12:00:00Z", "Europe/Berlin")).toBe("2026-03-30T00:30:00.000Z");
    expect(next("30 2 * * *", "2026-10-24T12:00:00Z", "Europe/Berlin")).toBe("2026-10-25T00:30:00.000Z");
    expect(() => next("0 9 * * *", "2026-01-01T00:00:00Z", "Mars/Base")).toThrow(RangeError);
  });

  const bad: [string, string][] = [
    ["", "empty spec string"],
    ["* * * *", "expected exactly 5 fields, found 4: [* * * *]"],
    ["60 * * * *", "end of range (60) above maximum (59): 60"],
    ["* * 0 * *", "beginning of range (0) below minimum (1): 0"],
    ["5-3 * * * *", "beginning of range (5) beyond end of range (3): 5-3"],
    ["*/0 * * * *", "step of range should be a positive number: */0"],
    ["1/2/3 * * * *", "too many slashes: 1/2/3"],
    ["x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'],
    ["@every soon", 'failed to parse duration @every soon: time: invalid duration "soon"'],
    ["@often", "unrecognized descriptor: @often"],
  ];
  it.each(bad)("refuses %s", (schedule, message) => {
    expect(() => parseCron(schedule)).toThrow(message);
  });
});
