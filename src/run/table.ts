import { portText } from "./model.ts";
import type { RunRecord } from "./store.ts";

const UNITS: readonly (readonly [name: string, seconds: number, below: number])[] = [
  ["second", 1, 60],
  ["minute", 60, 60],
  ["hour", 3600, 48],
  ["day", 86_400, 14],
  ["week", 604_800, Number.POSITIVE_INFINITY],
];

/** A time span in Docker's words (go-units, HumanDuration), without its looser ones. */
export function spanWords(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 1) return "Less than a second";
  for (const [name, size, below] of UNITS) {
    const count = Math.floor(seconds / size);
    if (count >= below) continue;
    if (count > 1) return `${count} ${name}s`;
    return name === "second" ? "1 second" : `About ${name === "hour" ? "an" : "a"} ${name}`;
  }
  return "";
}

const HEAD = ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"];
const MAX_COMMAND = 20;
const GAP = 3;

function commandText(words: readonly string[]): string {
  const text = words.join(" ");
  return JSON.stringify(text.length > MAX_COMMAND ? `${text.slice(0, MAX_COMMAND - 1)}…` : text);
}

/** Containers as `docker ps` shows them, the newest first. @param now milliseconds since 1970 */
export function runsTable(records: readonly RunRecord[], now: number): string {
  const rows = records
    .toReversed()
    .map((run) => [
      run.id.slice(0, 12),
      run.image,
      commandText(run.command),
      `${spanWords(now - run.created)} ago`,
      run.started === undefined ? "Created" : `Up ${spanWords(now - run.started)}`,
      run.network.ports.map(portText).join(", "),
      run.name,
    ]);
  const all = [HEAD, ...rows];
  const widths = HEAD.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)) + GAP);
  return all
    .map(
      (row) =>
        `${row
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join("")
          .trimEnd()}\n`,
    )
    .join("");
}
