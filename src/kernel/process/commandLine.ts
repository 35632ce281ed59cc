import { closeSync, openSync, readFileSync, writeSync } from "node:fs";

/** Positions of arg_start and arg_end in /proc/self/stat, counted behind the command's name (proc_pid_stat(5): 48, 49). */
const ARG_START = 45;
const ARG_END = 46;

/**
 * Makes this process appear as if started by these words: in `ps`, and in tools that take the program's name from the
 * first of them, such as `netstat -p`. process.title alone leaves one word with blanks in it, so the blanks between
 * words become the NULs that separate arguments, by way of /proc/self/mem.
 * What does not fit into the room of the true command line is cut off.
 */
export function showCommandLine(argv: readonly string[]): void {
  process.title = argv.join(" ");
  const stat = readFileSync("/proc/self/stat", "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [start, end] = [Number(fields[ARG_START]), Number(fields[ARG_END])];
  const memory = openSync("/proc/self/mem", "r+");
  try {
    let at = start;
    for (const word of argv.slice(0, -1)) {
      at += Buffer.byteLength(word);
      if (at >= end) return;
      writeSync(memory, Buffer.alloc(1), 0, 1, at++);
    }
  } finally {
    closeSync(memory);
  }
}
