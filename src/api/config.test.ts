import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inClusterConfig, loadKubeconfig, parseKubeconfig } from "./kubeconfig.ts";

let directory = "";
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "podwire-kubeconfig-"));
});
afterAll(() => rm(directory, { recursive: true }));

const yaml = `
apiVersion: v1
kind: Config
current-context: lab
clusters:
- name: lab
  cluster: {server: "https://127.0.0.1:6443", certificate-authority-data: ${Buffer.from("CA").toString("base64")}}
contexts:
- name: lab
  context: {cluster: lab, user: admin}
- name: other
  context: {cluster: lab, user: file, namespace: app-space}
users:
- name: admin
  user: {client-certificate-data: ${Buffer.from("CERT").toString("base64")}, client-key-data: ${Buffer.from("KEY").toString("base64")}}
- name: file
  user: {tokenFile: token}
`;

describe("kubeconfig", () => {
  it("reads the current context from YAML", async () => {
    const context = await parseKubeconfig(yaml);
    const expected = { server: "https://127.0.0.1:6443", namespace: "default", ca: "CA", cert: "CERT", key: "KEY" };
    expect(context).toEqual(expected);
  });

  it("reads a named context with a token file beside it, renewed when the file is", async () => {
    const path = join(directory, "config");
    await writeFile(path, yaml);
    await writeFile(join(directory, "token"), "first\n");
    const context = await loadKubeconfig(path, "other");
    expect(context.namespace).toBe("app-space");
    expect(context.token?.()).toBe("first");
    // A file's time is that of the kernel's last tick, every 10 ms at the slowest.
    await new Promise((done) => setTimeout(done, 25));
    await writeFile(join(directory, "token"), "second\n");
    expect(context.token?.()).toBe("second");
  });

  it("reads JSON without the YAML parser", async () => {
    const config = {
      "current-context": "a",
      contexts: [{ name: "a", context: { cluster: "c", user: "u" } }],
      clusters: [{ name: "c", cluster: { server: "https://[::1]:6443" } }],
      users: [{ name: "u", user: { token: "T" } }],
    };
    const context = await parseKubeconfig(JSON.stringify(config));
    expect(context.server).toBe("https://[::1]:6443");
    expect(context.token?.()).toBe("T");
  });

  it("names what is missing", async () => {
    await expect(parseKubeconfig(yaml, { context: "nope", path: "x.yaml" })).rejects.toThrow(
      'x.yaml: no context named "nope"',
    );
    await expect(parseKubeconfig("- a")).rejects.toThrow(/no context named ""/);
    await expect(parseKubeconfig("7")).rejects.toThrow("a kubeconfig is a mapping");
  });

  it("finds the API server of the cluster a pod is in", async () => {
    for (const [name, text] of [
      ["ca.crt", "CA"],
      ["token", "T"],
      ["namespace", "ns\n"],
    ] as const) {
      await writeFile(join(directory, name), text);
    }
    const env = { KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "443" };
    const context = inClusterConfig(env, directory);
    expect(context).toMatchObject({ server: "https://[fd00::1]:443", ca: "CA", namespace: "ns" });
    expect(context.token?.()).toBe("T");
    expect(() => inClusterConfig({}, directory)).toThrow("this is not a pod");
  });
});
