import { afterEach, describe, expect, it } from "vitest";
import { isNotFound, resources, type Secret } from "#api/index.ts";
import { InProcessCluster } from "../testing/cluster.ts";
import { planTokenSecret } from "./tokens.ts";

let cluster: InProcessCluster;
afterEach(() => cluster?.stop());

const base64 = (text: string) => Buffer.from(text).toString("base64");
const type = "kubernetes.io/service-account-token";
const asking = (account: string): Secret => ({
  metadata: {
    name: "robot-token",
    namespace: "default",
    annotations: { "kubernetes.io/service-account.name": account },
  },
  type,
});
const get = () => cluster.get(resources.secrets, "robot-token");
const gone = async () => isNotFound(await get().catch((error: unknown) => error));

describe("token Secrets", () => {
  it("are filled with a token that works, and go with their account", async () => {
    cluster = await new InProcessCluster().start(0);
    await cluster.client.create(resources.serviceAccounts, { metadata: { name: "robot", namespace: "default" } });
    await cluster.client.create(resources.secrets, asking("robot"));
    await cluster.until(async () => Object.keys((await get()).data ?? {}).sort(), ["ca.crt", "namespace", "token"]);
    const { data = {}, metadata } = await get();
    expect(data["ca.crt"]).toBe(base64("CA"));
    expect(data["namespace"]).toBe(base64("default"));
    const account = await cluster.get(resources.serviceAccounts, "robot");
    expect(metadata.annotations?.["kubernetes.io/service-account.uid"]).toBe(account.metadata.uid);
    const review = {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenReview",
      spec: { token: Buffer.from(data["token"] ?? "", "base64").toString() },
    };
    const ask = async () =>
      (
        await cluster.client.write<{ status: { authenticated?: boolean; user?: { username?: string } } }>(
          "POST",
          "/apis/authentication.k8s.io/v1/tokenreviews",
          review,
        )
      ).status;
    expect(await ask()).toMatchObject({
      authenticated: true,
      user: { username: "system:serviceaccount:default:robot" },
    });
    await cluster.client.delete(resources.serviceAccounts, "robot", "default");
    await cluster.until(gone, true);
    expect((await ask()).authenticated).not.toBe(true);
  });

  it("are deleted when they name no account", async () => {
    cluster = await new InProcessCluster().start(0);
    await cluster.client.create(resources.secrets, asking("nobody"));
    await cluster.until(gone, true);
  });

  it("are left alone when they are whole, and when they are of another type", () => {
    const account = { metadata: { name: "robot", namespace: "default", uid: "a" } };
    const { metadata } = asking("robot");
    const annotations = { ...metadata.annotations, "kubernetes.io/service-account.uid": "a" };
    const data = { token: "x", "ca.crt": base64("CA"), namespace: base64("default") };
    const whole: Secret = { ...asking("robot"), metadata: { ...metadata, annotations }, data };
    expect(planTokenSecret(whole, account, "CA")).toEqual({ action: "keep" });
    expect(planTokenSecret(whole, account, "NEW")).toEqual({ action: "fill", needsToken: false });
    expect(planTokenSecret(asking("robot"), account, "CA")).toEqual({ action: "fill", needsToken: true });
    const another = { metadata: { ...account.metadata, uid: "b" } };
    expect(planTokenSecret(whole, another, "CA")).toEqual({ action: "delete" });
    expect(planTokenSecret({ ...asking("nobody"), type: "Opaque" }, undefined, "CA")).toEqual({ action: "keep" });
  });
});
