import { constants } from "node:os";

/** Largest signal number (signal(7), SIGRTMAX). */
const MAX = 64;
const RTMIN = 34;

/** The number of a signal as images name it: `SIGQUIT`, `QUIT`, `3`, `SIGRTMIN+3`. @returns undefined for none */
export function signalNumber(text: string): number | undefined {
  const number = Number(text);
  if (/^\d+$/.test(text)) return number >= 1 && number <= MAX ? number : undefined;
  const name = text.toUpperCase().replace(/^(?!SIG)/, "SIG");
  const realTime = /^SIGRTM(IN|AX)(?:([+-])(\d{1,2}))?$/.exec(name);
  if (!realTime) return (constants.signals as Readonly<Record<string, number>>)[name];
  const shift = Number(realTime[3] ?? 0) * (realTime[2] === "-" ? -1 : 1);
  const found = (realTime[1] === "IN" ? RTMIN : MAX) + shift;
  return found >= RTMIN && found <= MAX ? found : undefined;
}
