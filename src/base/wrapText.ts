/** Columns of help texts. */
const WIDTH = 100;

/** A text in lines that fit help texts, each with so many blanks before it. A word that is longer has a line of its own. */
export function wrapText(text: string, indent: number): string {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && indent + last.length + 1 + word.length <= WIDTH) lines[lines.length - 1] += ` ${word}`;
    else lines.push(word);
  }
  return lines.map((line) => " ".repeat(indent) + line).join("\n");
}

/** Flags as a help text lists them: name and value, and what the flag does in lines below. */
export function flagLines(
  flags: Readonly<Record<string, { readonly value?: string | undefined; readonly help: string }>>,
): string {
  return Object.entries(flags)
    .map(([name, { value, help }]) => `    --${name}${value ? `=${value}` : ""}\n${wrapText(help, 8)}`)
    .join("\n");
}
