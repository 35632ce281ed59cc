import { describe, expect, it } from "vitest";
import { parsePublish } from "./model.ts";
import { runsTable, spanWords } from "./table.ts";
import { startExitCode } from "./wish.ts";

describe("C03 podwire ps (part: its columns)", () => {
  // go-units, HumanDuration.
  it.each([
    [0, "Less than a second"],
    [1000, "1 second"],
    [59_000, "59 seconds"],
    [60_000, "About a minute"],
    [150_000, "2 minutes"],
    [3_600_000, "About an hour"],
    [47 * 3_600_000, "47 hours"],
    [48 * 3_600_000, "2 days"],
    [14 * 86_400_000, "2 weeks"],
  ])("%d ms are %s", (ms, words) => expect(spanWords(ms)).toBe(words));

  it("are docker's, the newest container first", () => {
    const run = (n: number) => ({
      id: String(n).repeat(64),
      name: `c${n}`,
      image: "nginx",
      command: ["nginx", "-g", "daemon off; # long"],
      created: 0,
      stopSignal: 15,
      network: { mode: "bridge" as const, ports: n === 1 ? [parsePublish("127.0.0.1:80:80")] : [] },
    });
    const lines = runsTable([run(1), { ...run(2), started: 2000 }], 5000).split("\n");
    expect(lines).toEqual([
      "CONTAINER ID   IMAGE   COMMAND                  CREATED         STATUS         PORTS                  NAMES",
      '222222222222   nginx   "nginx -g daemon off…"   5 seconds ago   Up 3 seconds                          c2',
      '111111111111   nginx   "nginx -g daemon off…"   5 seconds ago   Created        127.0.0.1:80->80/tcp   c1',
      "",
    ]);
  });
});

describe("exit codes of podwire run", () => {
  it.each([
    ['unable to start container process: exec: "x": executable file not found in $PATH', 127],
    ['unable to start container process: exec: "/x": stat /x: no such file or directory', 127],
    ['unable to start container process: exec: "/x": permission denied', 126],
    ['unable to start container process: exec: "/x": is a directory', 126],
    ["unable to start container process: mount: Operation not permitted", 125],
    ["no such file or directory", 125],
  ])("%s", (message, code) => expect(startExitCode(message)).toBe(code));
});
