import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Backoff } from "#api/index.ts";
import { goDuration, imageBackoff, restartBackoff } from "./backoff.ts";
import { hasManyUsers, type ImageWish, TemplateImages } from "./images/index.ts";
import { outsideOf } from "./network/index.ts";
import { nodeStatus } from "./node/index.ts";
import { AgentConfigError, agentOptions, parseKubeletConfig } from "./options.ts";
import { commandLine } from "./pods/prepare.ts";
import { pullPolicy } from "./pods/unitImage.ts";
import { parseContainerPath, parseLogOptions, parseStreamOptions } from "./server/requests.ts";
import { testPod } from "./testing.ts";
import { PodVolumes, type VolumeSources } from "./volumes/index.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "podwire-kubelet-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("restart back-off", () => {
  it("restarts at once, then after 10 s doubled up to 5 min, and forgets after a quiet time", () => {
    const backoff = new Backoff(restartBackoff);
    const waits = Array.from({ length: 8 }, (_, i) => backoff.failed(i));
    expect(waits).toEqual([0, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]);
    expect(backoff.failed(700_000)).toBe(0);
    expect(new Backoff(imageBackoff).failed(0)).toBe(10_000);
    expect([10_000, 80_000, 300_000].map(goDuration)).toEqual(["10s", "1m20s", "5m0s"]);
  });
});

function wish(reference: string): ImageWish {
  const keyring = () => Promise.resolve({ entries: [] });
  return { reference, policy: "Always", keyring, onPulling: () => undefined };
}

describe("templates of images", () => {
  it("are found by name, said in words when not", async () => {
    const programs = {
      folder: "/opt/podwire",
      command: (p: string) => ["/opt/podwire/bin/node", `/opt/podwire/dist/${p}.cjs`],
    };
    const images = new TemplateImages({ programs, manyUsers: true });
    const coredns = await images.pull(wish("registry.k8s.io/coredns/coredns:v1.12.0"));
    expect(coredns.entrypoint).toEqual(["/coredns"]);
    expect(coredns.files).toContainEqual({
      path: "/coredns",
      text: '#!/bin/sh\nexec /opt/podwire/bin/node /opt/podwire/dist/dns.cjs "$@"\n',
      mode: 0o755,
    });
    expect(coredns.notice?.reason).toBe("ImageTemplate");
    await expect(images.pull(wish("redis"))).rejects.toThrow(
      /no template has this name \(templates: podwire\/toolbox, busybox, podwire\/echo, nginx/,
    );
    await expect(images.pull(wish("No Name"))).rejects.toMatchObject({ reason: "InvalidImageName" });
  });

  it("knows whether there are more users than root", () => {
    expect(hasManyUsers("         0          0 4294967295\n")).toBe(true);
    expect(hasManyUsers("         0       1000          1\n")).toBe(false);
    expect(hasManyUsers("         0 1900000000      65536\n")).toBe(true);
  });
});

describe("a container's command and rights", () => {
  const image = { entrypoint: ["/entry"], cmd: ["default"] };
  it.each([
    [{}, ["/entry", "default"]],
    [{ args: ["$(A)"] }, ["/entry", "1"]],
    [{ command: ["run"] }, ["run"]],
    [{ command: ["run"], args: ["x"] }, ["run", "x"]],
  ])("%j", (container, expected) => {
    expect(commandLine({ name: "c", ...container }, image, { A: "1" })).toEqual(expected);
  });

  it("pulls latest always", () => {
    expect(pullPolicy({ name: "c", image: "a" })).toBe("Always");
    expect(pullPolicy({ name: "c", image: "a:1" })).toBe("IfNotPresent");
    expect(pullPolicy({ name: "c", image: "localhost:5000/a" })).toBe("Always");
  });
});

describe("volumes", () => {
  const sources = (
    spec: Parameters<typeof testPod>[0],
    data: Record<string, string> = { a: "1", b: "2" },
  ): VolumeSources => ({
    pod: testPod(spec),
    podIPs: ["10.244.1.2"],
    hostIPs: [],
    allocatable: {},
    configMap: async (name) => (name === "absent" ? undefined : { metadata: { name }, data }),
    secret: async () => undefined,
    token: async (audience, seconds) => ({ token: `${audience}/${seconds}`, expiresMs: Date.now() + seconds * 1000 }),
  });
  const mounted = (volumes: PodVolumes) =>
    volumes.mountsOf({ name: "c", volumeMounts: [{ name: "v", mountPath: "/v" }] }, testPod(), {})[0]?.source ?? "";
  const partOf = (volumes: PodVolumes, subPath: string) => {
    const volumeMounts = [{ name: "v", mountPath: "/v", subPath }];
    const { source, inside } = volumes.mountsOf({ name: "c", volumeMounts }, testPod(), {})[0] ?? {};
    return { source, inside };
  };

  it("hold ConfigMaps, switched over in one step", async () => {
    const volumes = new PodVolumes(folder);
    await volumes.setUp(sources({ volumes: [{ name: "v", configMap: { name: "m" } }] }));
    const path = mounted(volumes);
    expect(readFileSync(join(path, "a"), "utf8")).toBe("1");
    await volumes.setUp(
      sources(
        { volumes: [{ name: "v", configMap: { name: "m", items: [{ key: "b", path: "x/y", mode: 0o600 }] } }] },
        { b: "new" },
      ),
    );
    expect(readFileSync(join(path, "x/y"), "utf8")).toBe("new");
    expect(statSync(join(path, "x/y")).mode & 0o777).toBe(0o600);
    expect(readdirSync(path).filter((n) => !n.startsWith(".."))).toEqual(["x"]);
    expect(readdirSync(path).filter((n) => n.startsWith(".."))).toHaveLength(2);
  });

  it("hold tokens, root certificates and names, projected into one folder", async () => {
    const volumes = new PodVolumes(folder);
    const projected = {
      sources: [
        { serviceAccountToken: { path: "token", expirationSeconds: 3607 } },
        { configMap: { name: "kube-root-ca.crt", items: [{ key: "a", path: "ca.crt" }] } },
        { downwardAPI: { items: [{ path: "namespace", fieldRef: { fieldPath: "metadata.namespace" } }] } },
      ],
    };
    await volumes.setUp(sources({ volumes: [{ name: "v", projected }] }));
    const read = (name: string) => readFileSync(join(mounted(volumes), name), "utf8");
    expect([read("token"), read("ca.crt"), read("namespace")]).toEqual(["undefined/3607", "1", "shop"]);
    // A fifth of the token's life is left then.
    expect(((volumes.refreshMs ?? 0) - Date.now()) / 1000).toBeCloseTo(3607 * 0.8, -1);
  });

  it("say what is missing", async () => {
    const set = (volume: object) => new PodVolumes(folder).setUp(sources({ volumes: [{ name: "v", ...volume }] }));
    await expect(set({ configMap: { name: "absent" } })).rejects.toThrow(
      'MountVolume.SetUp failed for volume "v" : configmap "absent" not found',
    );
    await expect(set({ configMap: { name: "absent", optional: true } })).resolves.toBeUndefined();
    await expect(set({ hostPath: { path: "/nowhere/at/all", type: "Directory" } })).rejects.toThrow(
      "/nowhere/at/all is not a directory",
    );
    await expect(set({ nfs: {} })).rejects.toThrow("not supported");
  });

  it("do not let a subPath lead out, nor make anything outside", async () => {
    const volumes = new PodVolumes(folder);
    await volumes.setUp(sources({ volumes: [{ name: "v", emptyDir: {} }] }));
    const path = mounted(volumes);
    expect(partOf(volumes, "sub/dir")).toEqual({ source: path, inside: "sub/dir" });
    expect(existsSync(join(path, "sub/dir"))).toBe(true);
    symlinkSync(folder, join(path, "link"));
    for (const subPath of ["link", "link/made"])
      expect(() => partOf(volumes, subPath)).toThrow(
        `failed to prepare subPath for volumeMount "v" of container "c": "${subPath}" leads out of the volume`,
      );
    expect(existsSync(join(folder, "made"))).toBe(false);
  });

  it("never delete what a planted link leads to", async () => {
    const volumes = new PodVolumes(folder);
    const set = (text: string) =>
      volumes.setUp({ ...sources({ volumes: [{ name: "v", configMap: { name: "m" } }] }), configMap: mapOf(text) });
    const mapOf = (text: string) => async () => ({ metadata: { name: "m" }, data: { a: text } });
    await set("one");
    const path = mounted(volumes);
    mkdirSync(join(folder, "precious"));
    rmSync(join(path, "..data"));
    symlinkSync("../../../precious", join(path, "..data"));
    await expect(set("two")).rejects.toThrow("not ours");
    expect(existsSync(join(folder, "precious"))).toBe(true);
  });
});

describe("requests to the node agent", () => {
  it("name a container", () => {
    expect(parseContainerPath("/exec/default/web/c")).toEqual({
      verb: "exec",
      namespace: "default",
      pod: "web",
      container: "c",
    });
    expect(parseContainerPath("/exec/default/web/u-1/c")).toMatchObject({ uid: "u-1", container: "c" });
    expect(parseContainerPath("/pods")).toBeUndefined();
  });

  it("say what they want", () => {
    const query = (text: string) => new URLSearchParams(text);
    expect(parseStreamOptions(query("input=1&output=1&error=1&tty=1&command=sh&command=-c"))).toEqual({
      command: ["sh", "-c"],
      stdin: true,
      stdout: true,
      stderr: false,
      tty: true,
    });
    expect(() => parseStreamOptions(query("command=ls"))).toThrow("at least 1 of stdin, stdout, stderr");
    expect(parseLogOptions(query("follow=true&tailLines=5&sinceSeconds=10&limitBytes=9"), 60_000)).toEqual({
      follow: true,
      previous: false,
      timestamps: false,
      tailLines: 5,
      limitBytes: 9,
      sinceMs: 50_000,
    });
    expect(() => parseLogOptions(query("tailLines=-1"), 0)).toThrow("invalid value for tailLines");
  });
});

describe("K03 the kubelet's flags and configuration (part: reading them)", () => {
  it("reads both", () => {
    const file = join(folder, "config.yaml");
    writeFileSync(
      file,
      "kind: KubeletConfiguration\nclusterDNS: [10.96.0.10]\nauthentication: {x509: {clientCAFile: /ca}}\nport: 10999\ncontainerLogMaxSize: 1Mi\neventRecordQPS: 0\n",
    );
    const options = agentOptions([
      `--config=${file}`,
      "--hostname-override=node01",
      "--node-ip=192.168.1.11,fd00::b",
      "--node-labels=a/b=,c=d",
    ]);
    expect(options).toMatchObject({
      nodeName: "node01",
      addresses: ["192.168.1.11", "fd00::b"],
      labels: { "a/b": "", c: "d" },
      clusterDns: ["10.96.0.10"],
      clusterDomain: "cluster.local",
      containerLogs: { maxBytes: 1024 * 1024, maxFiles: 5 },
      eventRate: { perSecond: 0, burst: 100 },
      server: { port: 10999, clientCaFile: "/ca" },
    });
  });

  it("refuses what it does not know, with file and line", () => {
    expect(() => parseKubeletConfig("kind: K\nclusterDNSS: []\n", "/c.yaml")).toThrow(
      '/c.yaml:2: unknown field "clusterDNSS"',
    );
    const file = join(folder, "config.yaml");
    const read = (text: string) => {
      writeFileSync(file, `kind: KubeletConfiguration\n${text}\n`);
      return agentOptions([`--config=${file}`, "--node-ip=1.2.3.4"]);
    };
    expect(() => read("containerLogMaxSize: much")).toThrow(`${file}: containerLogMaxSize: "much": `);
    expect(() => read("containerLogMaxFiles: 1")).toThrow("containerLogMaxFiles: 1: must be an integer greater than 1");
    // pkg/kubelet/apis/config/validation/validation.go
    expect(() => read("maxPods: -1")).toThrow(
      "invalid configuration: maxPods (--max-pods) -1 must not be a negative number",
    );
    expect(() => read("imageGCHighThresholdPercent: 85")).toThrow("only `podwire images prune` removes them");
    expect(() => read("imageMaximumGCAge: 24h")).toThrow("imageMaximumGCAge: 24h: there is only 0s");
    expect(() => read("podPidsLimit: many")).toThrow('podPidsLimit: "many": must be an integer');
    expect(() => read("eventBurst: -1")).toThrow(
      "invalid configuration: eventBurst (--event-burst) -1 must not be a negative number",
    );
    expect(() => read("eventRecordQPS: many")).toThrow('eventRecordQPS (--event-qps): "many": must be an integer');
    expect(() => read("maxPods: many")).toThrow('maxPods: "many": must be an integer');
    expect(() => agentOptions(["--nope"])).toThrow(AgentConfigError);
    expect(() => agentOptions(["--image-credential-provider-config=/x"])).toThrow(
      /^Unknown option '--image-credential-provider-config'.*; there are --config/s,
    );
    expect(() => agentOptions(["--nope"])).toThrow(/--config, --kubeconfig/);
    expect(() => agentOptions(["--node-ip=1.2.3.4", "--network-plugin=kubenet"])).toThrow("there is only cni");
  });
});

describe("K01 the node's object (part: what it says)", () => {
  const facts = {
    machineId: "m",
    systemUuid: "s",
    bootId: "b",
    kernelVersion: "6.1",
    osImage: "Debian",
    architecture: "amd64",
    cpus: 2,
    memoryBytes: 2 ** 30,
    swapBytes: 4096,
    diskBytes: 2 ** 30,
  };
  const options = {
    name: "node01",
    addresses: ["192.168.1.11"],
    labels: {},
    taints: [],
    port: 10250,
    version: "1",
    kubernetesVersion: "v1.36.0",
    maxPods: 110,
  };

  it("is ready only with a network, and keeps the time of what has not changed", () => {
    const first = nodeStatus(options, facts, {
      network: { problem: "Network plugin returns error: cni plugin not initialized" },
      images: [],
      handlers: ["podwire"],
      now: "T1",
    });
    const ready = (s: typeof first) => s.conditions?.find((c) => c.type === "Ready");
    expect(ready(first)).toMatchObject({ status: "False", reason: "KubeletNotReady" });
    expect(ready(first)?.message).toContain("cni plugin not initialized");
    const second = nodeStatus(options, facts, {
      network: {},
      images: [],
      handlers: ["crun", "podwire"],
      now: "T2",
      before: first,
    });
    expect(ready(second)).toMatchObject({
      status: "True",
      lastTransitionTime: "T2",
      message: "kubelet is posting ready status",
    });
    expect(second.conditions?.[0]).toMatchObject({
      type: "MemoryPressure",
      lastTransitionTime: "T1",
      lastHeartbeatTime: "T2",
    });
    expect(second.nodeInfo?.containerRuntimeVersion).toBe("podwire://1");
    expect(second.nodeInfo?.swap).toEqual({ capacity: 4096 });
    expect(second.features).toEqual({ supplementalGroupsPolicy: true });
    const handlers = (s: typeof first) => s.runtimeHandlers?.map(({ name }) => name);
    expect([handlers(first), handlers(second)]).toEqual([
      ["", "podwire"],
      ["", "crun", "podwire"],
    ]);
  });
});

describe("N04 the notes' network in /etc/cni/net.d (part: the node says that it left the pod network)", () => {
  const network = (subnet: string) => ({
    name: "mynet",
    cniVersion: "0.2.0",
    disableCheck: false,
    file: "/etc/cni/net.d/10-bridge.conf",
    plugins: [{ type: "bridge", ipam: { type: "host-local", subnet } }] as const,
  });

  it("compares subnets", () => {
    expect(outsideOf(network("10.22.0.0/16"), ["10.244.1.0/24"])).toBe(
      "network \"mynet\" of /etc/cni/net.d/10-bridge.conf gives pods addresses of 10.22.0.0/16, outside this node's 10.244.1.0/24 of the cluster's pod network",
    );
    expect(outsideOf(network("10.244.1.128/25"), ["10.244.1.0/24"])).toBeUndefined();
    expect(outsideOf(network("10.22.0.0/16"), [])).toBeUndefined();
  });
});
