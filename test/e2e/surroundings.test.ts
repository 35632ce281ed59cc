import { afterAll, beforeAll, expect, it } from "vitest";
import { TestCluster } from "../support/cluster.ts";
import { makeStaging, type Staging } from "../support/staging.ts";
import { people, type User } from "../support/user.ts";

/** Variables of somebody's shell that would break a program which heeds them. */
const ODD = {
  LANG: "tr_TR.UTF-8",
  LC_ALL: "xx_YY",
  TZ: "Nowhere/Here",
  PATH: "/usr/bin:/bin",
  TMPDIR: "/nonexistent",
  XDG_RUNTIME_DIR: "/nonexistent",
  SHELL: "/usr/sbin/nologin",
  NODE_OPTIONS: "--trace-warnings",
  NODE_EXTRA_CA_CERTS: "/nonexistent.pem",
  NODE_USE_ENV_PROXY: "1",
  ...Object.fromEntries(
    ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].map((name) => [name, "http://127.0.0.1:1"]),
  ),
};
/** A umask that lets nobody enter a folder, its owner included, and no standard input at all. */
const UNKIND = ["/bin/sh", "-c", 'umask 0177; exec "$@" <&-', "sh"];

people.describe("a cluster of %s in odd surroundings", ["root", "an ordinary user"], (who) => {
  let staging: Staging;
  let user: User | undefined;
  let cluster: TestCluster;
  beforeAll(() => {
    staging = makeStaging();
    user = people.user(who);
  });
  afterAll(async () => {
    await cluster?.stop();
    user?.remove();
    staging.remove();
  });

  it("comes up, answers, and ends with 0", { timeout: 60_000 }, async () => {
    cluster = new TestCluster({ staging, ...(user ? { user } : {}), env: ODD, through: UNKIND });
    await cluster.ready();
    expect(cluster.output).toContain("First answer through the ingress");
    expect(await cluster.sh("node01", "hostname; stat -c %a /etc/hosts")).toMatchObject({
      code: 0,
      stdout: "node01\n644\n",
    });
    expect((await cluster.podwire("down")).code).toBe(0);
    if (cluster.process.exitCode === null) await new Promise((resolve) => cluster.process.once("exit", resolve));
    expect(cluster.process.exitCode).toBe(0);
  });
});
