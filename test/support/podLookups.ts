import { execFileSync, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

const MUSL_SOURCE = `
#include <netdb.h>
#include <sys/socket.h>
int main(int count, char **words) {
  struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
  return getaddrinfo(words[1], 0, &hints, &found) != 0;
}
`;

/** Makes a program that looks a name up by musl, without libraries. @returns its path; undefined without musl-gcc */
export function muslProgram(folder: string): string | undefined {
  if (spawnSync("sh", ["-c", "command -v musl-gcc"]).status !== 0) return undefined;
  const program = join(folder, "musl");
  writeFileSync(`${program}.c`, MUSL_SOURCE);
  execFileSync("musl-gcc", ["-static", "-o", program, `${program}.c`]);
  return program;
}

/** What stands in a capture behind the queries of each command. */
const mark = (index: number) => `mark-${index}.cluster.local.`;

/**
 * A script that runs commands one after the other and prints the questions that left the pod meanwhile, as tcpdump saw
 * them; {@link questionsOf} reads it.
 */
export function capturing(commands: readonly string[]): string {
  const last = mark(commands.length - 1);
  const until = (condition: string) => `n=0; until ${condition} || [ $n = 100 ]; do n=$((n+1)); sleep 0.1; done`;
  return [
    "cd /tmp; rm -f seen said",
    "timeout 60 tcpdump -lnn -i eth0 udp dst port 53 >seen 2>said & capture=$!",
    until("grep -q 'listening on' said"),
    ...commands.map((command, index) => `${command} >/dev/null 2>&1; dig +short ${mark(index)}`),
    until(`grep -qF ' ${last} ' seen`),
    "kill $capture; cat seen",
  ].join("\n");
}

/** `A web.play.svc.cluster.local.`, …: of each command, in order. */
export function questionsOf(capture: string): string[][] {
  const lists: string[][] = [[]];
  for (const [, type, name] of capture.matchAll(/\.53: \d+\+ (?:\[1au\] )?([A-Z]+)\? (\S+) /g)) {
    if (name?.startsWith("mark-")) lists.push([]);
    else lists.at(-1)?.push(`${type} ${name}`);
  }
  return lists.slice(0, -1);
}

/** An answer of dig's as `STATUS`, then the data of its records. */
export function digAnswer(text: string): string[] {
  const status = /status: (\w+)/.exec(text)?.[1] ?? "none";
  const rows = text.split("\n").filter((line) => /^[^;\s]\S*\s/.test(line));
  return [status, ...rows.map((row) => row.split(/\s+/).slice(4).join(" ")).sort()];
}
