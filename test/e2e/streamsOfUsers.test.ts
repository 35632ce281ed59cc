import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestCluster } from "#test/support/cluster.ts";
import { eventually } from "#test/support/firstLight.ts";
import { Kubectl } from "#test/support/kubectl.ts";
import { makeStaging, type Staging } from "#test/support/staging.ts";
import { people, type User } from "#test/support/user.ts";

people.describe("U02 streams in the lab of %s", ["an ordinary user", "a user without subordinate ids"], (who) => {
  let staging: Staging;
  let user: User | undefined;
  let cluster: TestCluster;
  let kubectl: Kubectl;

  beforeAll(async () => {
    staging = makeStaging();
    user = people.user(who);
    cluster = new TestCluster({ staging, flags: ["--example", "none"], ...(user ? { user } : {}) });
    await cluster.ready();
    await cluster.podsReady();
    const { kubeconfig } = await cluster.status();
    kubectl = new Kubectl(kubeconfig, join(cluster.directory, "home"));
    await kubectl.ok("create deployment web --image=podwire/echo --port=8080");
    await kubectl.ok("rollout status deployment/web --timeout=60s");
    await kubectl.ok("run box --image=podwire/toolbox -- sleep infinity");
    await kubectl.ok("wait --for=condition=Ready pod/box --timeout=60s");
  }, 120_000);
  afterAll(async () => {
    await cluster.stop();
    user?.remove();
    staging.remove();
  });

  describe.each(["true", "false"])("(part: KUBECTL_…_WEBSOCKETS=%s)", (webSockets) => {
    it("port-forward and exec", async () => {
      const own = new Kubectl(kubectl.env["KUBECONFIG"] ?? "", kubectl.env["HOME"] ?? "");
      Object.assign(own.env, {
        KUBECTL_REMOTE_COMMAND_WEBSOCKETS: webSockets,
        KUBECTL_PORT_FORWARD_WEBSOCKETS: webSockets,
      });
      const forward = own.follow("port-forward deployment/web :8080");
      const listens = /127\.0\.0\.1:(\d+) -> 8080/;
      await forward.shows(listens);
      const answer = await fetch(`http://127.0.0.1:${listens.exec(forward.output)?.[1]}/`);
      expect(await answer.text()).toContain('"pod": "web-');
      await forward.stop();
      expect(await own.ok("exec -i box -- cat", "through\n")).toBe("through\n");
      expect((await own.run(["exec", "box", "--", "sh", "-c", "exit 9"])).code).toBe(9);
    });
  });

  it("top", async () => {
    await eventually(async () =>
      expect(await kubectl.ok("top pod box --no-headers")).toMatch(/^box +\d+m +\d+Mi *\n$/),
    );
  });
});
