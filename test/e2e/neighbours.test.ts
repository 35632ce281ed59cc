import { type ChildProcess, spawn } from "node:child_process";
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Result, run, TestCluster } from "../support/cluster.ts";
import { makeStaging, type Staging } from "../support/staging.ts";
import { people, type User } from "../support/user.ts";

/** Where control groups of version 2 are mounted on this machine; "" = nowhere. */
const UNIFIED =
  ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].find((path) => existsSync(join(path, "cgroup.procs"))) ?? "";

/** A control group that belongs to a user, as systemd gives one to every session. */
class DelegatedGroup {
  readonly path = join(UNIFIED, `podwire-test-${process.pid}`);

  constructor({ uid, gid }: User) {
    mkdirSync(this.path);
    for (const file of ["", ...readdirSync(this.path)]) chownSync(join(this.path, file), uid, gid);
  }

  take(pid: number): void {
    writeFileSync(join(this.path, "cgroup.procs"), String(pid));
  }

  remove(): void {
    rmdirSync(this.path);
  }
}

/** Every way to the files of the control group that a machine's processes are in. */
const KILL_GROUP = `
for how in "" "unshare --cgroup" "unshare --cgroup --mount" "unshare --user --map-root-user --cgroup --mount"; do
  for type in cgroup2 cgroup; do
    $how /bin/sh -c "mkdir -p /tmp/group; mount -t $type none /tmp/group && cd /tmp/group && ls -d cgroup.*
      echo 1 > cgroup.kill; echo 1 > cgroup.freeze; umount -l /tmp/group" 2>/dev/null
  done
done
find /sys/fs/cgroup -type f | while read -r f; do (: >> "$f") 2>/dev/null && echo "$f"; done
for f in /sys/fs/cgroup/cgroup.kill /sys/fs/cgroup/*/cgroup.kill; do echo 1 2>/dev/null > $f; done
true`;

people.describe(
  "what runs beside a cluster of %s",
  ["root", "an ordinary user", "a user without subordinate ids"],
  (who) => {
    let staging: Staging;
    let user: User | undefined;
    let group: DelegatedGroup | undefined;
    let cluster: TestCluster;
    let victim: ChildProcess;
    let folder: string;
    const identity = () => (user ? { uid: user.uid, gid: user.gid } : {});
    const environment = () => ({
      XDG_STATE_HOME: cluster.directory,
      HOME: folder,
      PATH: process.env["PATH"] ?? "",
      TERM: "xterm",
    });
    /** Runs a shell script on this machine, as the user, in which $podwire is the program. */
    const here = (script: string): Promise<Result> =>
      run("setsid", ["--wait", "/bin/sh", "-c", script], {
        ...identity(),
        env: { ...environment(), podwire: `${staging.node} ${staging.podwire}` },
      });
    /** The same on a terminal of its own. Without input the terminal stays silent, with one it ends after that. */
    const onTerminal = (script: string, input?: string): Promise<Result> =>
      run("script", ["-qec", script, "/dev/null"], {
        ...identity(),
        ...(input === undefined ? {} : { input }),
        env: { ...environment(), podwire: `${staging.node} ${staging.podwire}` },
      });

    beforeAll(async () => {
      staging = makeStaging();
      folder = mkdtempSync(join(tmpdir(), "pw-"));
      user = people.user(who);
      if (user) chownSync(folder, user.uid, user.gid);
      if (user && UNIFIED) group = new DelegatedGroup(user);
      victim = spawn("sleep", ["1000"], { stdio: "ignore", ...identity() });
      cluster = new TestCluster({
        staging,
        ...(user ? { user } : {}),
        flags: ["--example", "none", "--ingress", "none"],
      });
      for (const pid of [victim.pid, cluster.process.pid]) group?.take(pid as number);
      await cluster.ready();
    }, 90_000);
    afterAll(async () => {
      await cluster?.stop();
      victim?.kill("SIGKILL");
      await sleep(100);
      group?.remove();
      rmSync(folder, { recursive: true, force: true });
      user?.remove();
      staging.remove();
    });

    it("a node cannot end or stop its neighbours by their control group", async () => {
      if (group)
        expect(readFileSync(join(group.path, "cgroup.procs"), "utf8").split("\n")).toContain(String(victim.pid));
      const { stdout } = await cluster.sh("node01", KILL_GROUP);
      expect(stdout.split("\n").filter((line) => line.startsWith("/sys/fs/cgroup"))).toEqual([]);
      expect([victim.exitCode, victim.signalCode]).toEqual([null, null]);
      if (group) expect(readFileSync(join(group.path, "cgroup.freeze"), "utf8")).toBe("0\n");
      expect((await cluster.status()).state).toBe("ready");
    });

    it("the path of the control group is not told", async () => {
      const { stdout } = await cluster.sh("node01", "cat /proc/self/cgroup");
      expect(stdout).not.toContain("podwire-test");
    });

    it("`kill 0` on a node ends what runs there, not the script that called", async () => {
      const { stdout } = await here("$podwire exec node01 -- /bin/sh -c 'kill -9 0'; echo ended with $?");
      expect(stdout).toBe("ended with 137\n");
      const typed = await onTerminal("$podwire exec node01 -- /bin/sh -c 'kill -9 0'; echo ended with $?", "");
      expect(typed.stdout).toMatch(/ended with (137|1)\r?\n/);
    });

    it("a command's streams are the caller's: redirected, piped, with its exit code", async () => {
      const { stdout, stderr, code } = await here(
        "echo in | $podwire exec node01 -- /bin/sh -c 'cat; echo err >&2; exit 7'",
      );
      expect({ stdout, stderr, code }).toEqual({ stdout: "in\n", stderr: "err\n", code: 7 });
      const some = await onTerminal(
        "$podwire exec node01 -- /bin/sh -c 'seq 100000; echo said >&2; exit 3' | tail -1",
        "",
      );
      expect(some.stdout.replaceAll("\r", "").split("\n").filter(Boolean).sort()).toEqual(["100000", "said"]);
    });

    it("a node never holds the caller's terminal", async () => {
      const own = "echo own=$(stat -L -c %d:%i /proc/self/fd/0)";
      const held = "stat -L -c %d:%i /proc/[0-9]*/fd/[0-2]";
      for (const command of [
        `$podwire exec node01 -- /bin/sh -c '${held}'`,
        `echo '${held}' | $podwire shell node01`,
      ]) {
        const { stdout } = await onTerminal(`${own}; ${command}; echo end`, "");
        const [, terminal] = /own=(\d+:\d+)/.exec(stdout) ?? [];
        expect(terminal).toBeDefined();
        expect(stdout.match(/^\d+:\d+\r?$/gm)?.length).toBeGreaterThan(3);
        expect(stdout.replaceAll("\r", "").split("\n")).not.toContain(terminal);
      }
      const shell = await onTerminal(`${own}; $podwire shell node01; echo end`, `tty; ${held}; exit\n`);
      const [, terminal] = /own=(\d+:\d+)/.exec(shell.stdout) ?? [];
      expect(shell.stdout).toMatch(/^\/dev\/pts\/\d+\r?$/m);
      expect(shell.stdout.replaceAll("\r", "").split("\n")).not.toContain(terminal);
    });

    it("characters that a node pushes into its terminal stay there", async () => {
      // TIOCSTI, which kernels before 6.2 and some of today's allow on one's own terminal.
      const push = `ioctl(STDIN, 0x5412, my $c = $_) or die "$!\\n" for split //, "pushed\\n"; print "done\\n"`;
      writeFileSync(join(folder, "push.pl"), push, { mode: 0o644 });
      const there = `$podwire exec node01 -- perl -e "$(cat ${folder}/push.pl)"`;
      // Nothing else may come in, an end of input neither, or it would be what head reads.
      const { stdout } = await onTerminal(`stty -echo; ${there}; echo got=$(timeout --foreground 2 head -n 1)`);
      expect(stdout).toMatch(/got=\r?\n/);
      // The push itself works where it is allowed at all: this machine's own terminal takes it.
      const here = await onTerminal(`stty -echo; perl ${folder}/push.pl; echo got=$(timeout --foreground 2 head -n 1)`);
      if (here.stdout.includes("done")) expect(here.stdout).toContain("got=pushed");
    });
  },
);
