/** Something typed, and what it has to answer. */
export interface Step {
  /** once: typed once; until: typed until it answers so; begin: goes on in the background; end: what that prints then. */
  readonly kind: "once" | "until" | "begin" | "end";
  /** As typed, several lines perhaps; `fg` for the end of a background command. */
  readonly command: string;
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
  readonly exit: number;
  /** Line in the page, counted from 1. */
  readonly line: number;
}

/** A file of the shell's folder. */
export interface PageFile {
  readonly name: string;
  readonly text: string;
}

/** What stands below one heading. */
export interface Section {
  readonly title: string;
  /** Where the expected texts are from. */
  readonly sources: readonly string[];
  /** Why its commands do not answer so yet; absent when they do. */
  readonly missing?: string;
  readonly files: readonly PageFile[];
  readonly steps: readonly Step[];
}

/** A page of transcripts; test/transcripts/README.md says how one is written. */
export interface Page {
  readonly title: string;
  readonly sections: readonly Section[];
}

type Open<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] };

/** Reads a page. @throws Error with the line of what cannot be read */
export function readPage(markdown: string): Page {
  const sections: Open<Section>[] = [];
  let title = "";
  let fence: { info: string; line: number; lines: string[] } | undefined;
  markdown.split("\n").forEach((text, index) => {
    const section = sections.at(-1);
    if (fence) {
      if (text !== "```") fence.lines.push(text);
      else {
        if (!section) throw new Error(`line ${fence.line}: a block before the first section`);
        addBlock(section, fence);
        fence = undefined;
      }
    } else if (text.startsWith("# ")) title = text.slice(2);
    else if (text.startsWith("## ")) sections.push({ title: text.slice(3), sources: [], files: [], steps: [] });
    else if (text.startsWith("```")) fence = { info: text.slice(3).trim(), line: index + 1, lines: [] };
    else if (section && text.startsWith("Source: ")) section.sources.push(...text.slice(8).split("; "));
    else if (section && text.startsWith("Not there yet: ")) section.missing = text.slice(15);
  });
  if (fence) throw new Error(`line ${fence.line}: a block without an end`);
  return { title, sections };
}

function addBlock(section: Open<Section>, { info, line, lines }: { info: string; line: number; lines: string[] }) {
  const [language, name] = info.split(" ");
  if (language === "console") section.steps.push(...stepsOf(lines, line + 1));
  else if (name) section.files.push({ name, text: `${lines.join("\n")}\n` });
  else throw new Error(`line ${line}: a block that is neither a console nor a file`);
}

const KINDS = { "": "once", "~": "until", "&": "begin" } as const;

function stepsOf(lines: readonly string[], first: number): Step[] {
  const steps: Open<Step>[] = [];
  lines.forEach((text, index) => {
    const line = first + index;
    const last = steps.at(-1);
    const typed = /^\$([~&]?) (.*)$/.exec(text);
    const exit = /^\[exit (.+)\]$/.exec(text);
    const begin = (kind: Step["kind"], command: string) =>
      steps.push({ kind, command, stdout: [], stderr: [], exit: 0, line });
    if (typed) begin(KINDS[typed[1] as keyof typeof KINDS], typed[2] ?? "");
    else if (text === "$fg") begin("end", "fg");
    else if (!last) throw new Error(`line ${line}: output before a command`);
    else if (text.startsWith("> ") && last.stdout.length + last.stderr.length === 0)
      last.command += `\n${text.slice(2)}`;
    else if (exit) last.exit = exit[1] === "‹number›" ? Number.NaN : Number(exit[1]);
    else if (text === "!" || text.startsWith("! ")) last.stderr.push(text.slice(2));
    else last.stdout.push(text);
  });
  return steps;
}

/** How often a step types kubectl. */
export function invocations({ command }: Step): number {
  return command.match(/\bkubectl (?!\(\))/g)?.length ?? 0;
}
