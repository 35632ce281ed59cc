import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { clean, match, shown } from "./match.ts";
import type { Section, Step } from "./page.ts";
import { type Background, type Outcome, Shell } from "./shell.ts";

/** What a section's commands had to print and what they printed, both as in a page. */
export interface Told {
  readonly expected: string;
  readonly actual: string;
}

/** Milliseconds after which what a controller does has to be seen. */
const SOON = 20_000;
/** As long as that for what is known not to be there yet. */
const SHORTLY = 2000;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A page's shell. */
export class Session {
  readonly #shell: Shell;
  readonly #folder: string;
  readonly #background: { step: Step; job: Background }[] = [];
  #patience = SOON;

  constructor(folder: string, env: NodeJS.ProcessEnv) {
    this.#folder = folder;
    this.#shell = new Shell(folder, env);
  }

  /** Types a section's commands, all of them, whatever they answer. */
  async play({ files, steps, missing }: Section): Promise<Told> {
    this.#patience = missing === undefined ? SOON : SHORTLY;
    for (const { name, text } of files) writeFileSync(join(this.#folder, name), text);
    const told = { expected: "", actual: "" };
    for (const step of steps) {
      const { expected, actual } = await this.#step(step);
      told.expected += expected;
      told.actual += actual;
    }
    return told;
  }

  async #step(step: Step): Promise<Told> {
    const { expected, outcome } = await this.#outcome(step);
    const streams = [match(expected.stdout, outcome.stdout), match(expected.stderr, outcome.stderr)];
    for (const [name, value] of streams.flatMap((found) => [...(found ?? [])])) this.#shell.set(name, value);
    return { expected: text(step, expected, outcome), actual: text(step, outcome, outcome) };
  }

  /** What a step has to print, and what it prints. */
  async #outcome(step: Step): Promise<{ expected: Outcome; outcome: Outcome }> {
    if (step.kind === "begin") {
      const job = await this.#shell.start(step.command);
      this.#background.push({ step, job });
      return { expected: step, outcome: await until(() => job.read(), step, this.#patience) };
    }
    if (step.kind === "end") {
      const { step: begun, job } = this.#background.shift() ?? {};
      if (!begun || !job) throw new Error(`line ${step.line}: nothing is in the background`);
      const whole = { ...step, stdout: [...begun.stdout, ...step.stdout], stderr: [...begun.stderr, ...step.stderr] };
      await until(() => job.read(), whole, this.#patience);
      return { expected: whole, outcome: await job.end() };
    }
    const once = () => this.#shell.run(step.command);
    return { expected: step, outcome: step.kind === "until" ? await until(once, step, this.#patience) : await once() };
  }

  stop(): Promise<void> {
    return this.#shell.stop();
  }
}

function same(expected: Outcome, outcome: Outcome): boolean {
  return (
    (Number.isNaN(expected.exit) || expected.exit === outcome.exit) &&
    match(expected.stdout, outcome.stdout) !== undefined &&
    match(expected.stderr, outcome.stderr) !== undefined
  );
}

/** Asks until the outcome is as expected, `patience` milliseconds at most; resolves with the last one. */
async function until(ask: () => Outcome | Promise<Outcome>, expected: Outcome, patience: number): Promise<Outcome> {
  const end = Date.now() + patience;
  for (;;) {
    const outcome = await ask();
    if (same(expected, outcome) || Date.now() > end) return outcome;
    await pause(50);
  }
}

/** A step as in a page; what matches is shown as it was. */
function text(step: Step, told: Outcome, outcome: Outcome): string {
  const stream = (name: "stdout" | "stderr") =>
    match(told[name], outcome[name]) ? clean(outcome[name]) : shown(told[name], outcome[name]);
  const matches = Number.isNaN(told.exit) || told.exit === outcome.exit;
  const exit = matches ? outcome.exit : told.exit;
  return [
    `$ ${step.command}  (line ${step.line})`,
    ...stream("stdout"),
    ...stream("stderr").map((line) => `! ${line}`),
    ...(exit === 0 ? [] : [`[exit ${exit}]`]),
    "",
  ].join("\n");
}
