import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";

/** A command of a document and what it prints. */
export interface Step {
  readonly command: string;
  /** Lines; `…` stands for any text in a line, a line of `…` alone for any number of lines. */
  readonly expected: readonly string[];
  /** Line in the document, counted from 1. */
  readonly line: number;
}

/** A fenced block ```` ```console WHERE ````: its commands run one after the other in one shell. */
export interface ConsoleBlock {
  readonly where: string;
  /** The headings above it. */
  readonly heading: string;
  readonly steps: readonly Step[];
}

/**
 * The console blocks of a Markdown document. A line that begins with `$ ` is a command (a line ending in a backslash
 * goes on in the next one), what follows up to the next command is its output.
 */
export function consoleBlocks(markdown: string): ConsoleBlock[] {
  const blocks: ConsoleBlock[] = [];
  let heading = "";
  let open: { where: string; lines: { text: string; line: number }[] } | undefined;
  markdown.split("\n").forEach((text, index) => {
    if (open) {
      if (text !== "```") open.lines.push({ text, line: index + 1 });
      else {
        blocks.push({ where: open.where, heading, steps: stepsOf(open.lines) });
        open = undefined;
      }
      return;
    }
    if (/^#+ /.test(text)) heading = text.replace(/^#+ /, "");
    const fence = /^```console\s*(\S*)/.exec(text);
    if (fence) open = { where: fence[1] || "host", lines: [] };
  });
  return blocks;
}

function stepsOf(lines: readonly { text: string; line: number }[]): Step[] {
  const steps: { command: string; expected: string[]; line: number }[] = [];
  let continues = false;
  for (const { text, line } of lines) {
    const last = steps.at(-1);
    if (continues && last) last.command += `\n${text}`;
    else if (text.startsWith("$ ")) steps.push({ command: text.slice(2), expected: [], line });
    else last?.expected.push(text);
    continues = (continues || text.startsWith("$ ")) && text.endsWith("\\");
  }
  return steps;
}

/** Whether the output is as the document says. Spaces at the ends of lines and empty lines at the end do not count. */
export function outputMatches(expected: readonly string[], output: string): boolean {
  const clean = (lines: readonly string[]) =>
    lines
      .map((line) => line.trimEnd())
      .join("\n")
      .replace(/\n+$/, "");
  const pattern = clean(expected)
    .split(/^…\n?/m)
    .map((part) => part.split("…").map(escapeRegex).join("[^\\n]*?"))
    .join("(?:[^\\n]*(?:\\n|$))*?");
  return new RegExp(`^${pattern}$`).test(clean(output.split("\n")));
}

function escapeRegex(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** Commands that look and change nothing. */
const LOOKS =
  /^(curl|dig|nslookup|kubectl (get|describe|logs)|kubectl exec \S+( -n \S+)? -- (curl|dig|nslookup))\b[^|;&>]*(\| (sort|head|tail|grep)\b[^|;&>]*)?$/;

/** Whether a block's commands only look, so that it may run again. */
export function looksOnly(block: ConsoleBlock): boolean {
  return block.steps.every(({ command }) => LOOKS.test(command));
}

/** A step whose output differs. */
export interface Difference {
  readonly step: Step;
  readonly output: string;
}

/**
 * Runs the steps in one shell, standard error among the output, and returns those that print something else.
 * `launcher` is a command that runs `sh` where the block belongs, e.g. `["unshare", "-n", "sh"]`.
 */
export async function runBlock(
  block: ConsoleBlock,
  launcher: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<Difference[]> {
  const [program = "sh", ...args] = launcher;
  const shell = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"], env });
  const mark = `end-${randomUUID()}`;
  let output = "";
  shell.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    output += chunk;
  });
  const ended = new Promise<void>((resolve, reject) => {
    shell.once("error", reject);
    shell.once("close", () => resolve());
  });
  const script = block.steps.map(({ command }) => `{ ${command}\n} </dev/null\nprintf '\\n%s\\n' ${mark}\n`);
  shell.stdin.end(`exec 2>&1\n${script.join("")}`);
  await ended;
  const outputs = output.split(`\n${mark}\n`);
  return block.steps.flatMap((step, index) => {
    const text = outputs[index] ?? "(the shell ended)";
    return outputMatches(step.expected, text) ? [] : [{ step, output: text }];
  });
}
