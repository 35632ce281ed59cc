import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { resolveConfig } from "#lab/config/index.ts";
import type { ClusterPki } from "#lab/pki/index.ts";
import { apiServerNames, clusterPlan } from "./index.ts";

const pair = { cert: "CERT\n", key: "KEY\n" };
const pki: ClusterPki = {
  ca: "CA\n",
  kept: { authority: pair, serviceAccountKey: "PRIV\n" },
  apiserver: pair,
  apiserverKubeletClient: pair,
  admin: pair,
  nodes: { controlplane: pair, node01: pair, node02: pair },
  serviceAccount: { publicKey: "PUB\n", privateKey: "PRIV\n" },
};

describe("K03 files of a node (part: what is written)", () => {
  const plan = clusterPlan(resolveConfig({}), pki);

  it("/var/lib/kubelet/config.yaml names the cluster's DNS", () => {
    const config = parse(plan.files["node01"]?.["/var/lib/kubelet/config.yaml"] ?? "") as Record<string, unknown>;
    expect(config).toMatchObject({
      kind: "KubeletConfiguration",
      clusterDNS: ["10.96.0.10"],
      clusterDomain: "cluster.local",
    });
  });

  it("the control plane keeps pods away as long as there is another node for them", () => {
    const taints = ({ files }: typeof plan, node: string): unknown =>
      parse(files[node]?.["/var/lib/kubelet/config.yaml"] ?? "").registerWithTaints;
    expect(taints(plan, "controlplane")).toEqual([
      { key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" },
    ]);
    expect(taints(plan, "node01")).toEqual([]);
    expect(taints(clusterPlan(resolveConfig({ nodes: 1 }), pki), "controlplane")).toEqual([]);
  });

  it("a node's limit of pods and its part of the pod addresses are where upstream has them", () => {
    const ranges = { podCidr: "10.244.0.0/16,fd00:10:244::/56", serviceCidr: "10.96.0.0/12,fd00:10:96::/112" };
    const { files } = clusterPlan(resolveConfig({ ...ranges, maxPods: 500, nodeCidrMaskSizeIpv4: 22 }), pki);
    expect(parse(files["node01"]?.["/var/lib/kubelet/config.yaml"] ?? "").maxPods).toBe(500);
    const manifest = files["controlplane"]?.["/etc/kubernetes/manifests/kube-controller-manager.yaml"] ?? "";
    expect(parse(manifest).spec.containers[0].command).toEqual(
      expect.arrayContaining(["--node-cidr-mask-size-ipv4=22", "--node-cidr-mask-size-ipv6=64"]),
    );
  });

  it("/etc/kubernetes/manifests/kube-apiserver.yaml names the Service range", () => {
    const text = plan.files["controlplane"]?.["/etc/kubernetes/manifests/kube-apiserver.yaml"] ?? "";
    const pod = parse(text) as { spec: { containers: { command: string[] }[] } };
    expect(pod.spec.containers[0]?.command).toContain("--service-cluster-ip-range=10.96.0.0/12");
  });

  it("/etc/kubernetes/manifests describes the control plane, and names the process behind it", () => {
    const files = Object.entries(plan.files["controlplane"] ?? {}).filter(
      ([path]) => path.endsWith(".yaml") && path.includes("/manifests/"),
    );
    const pods = files.map(([, text]) => parse(text) as { metadata: Record<string, unknown> });
    const annotations = expect.objectContaining({ "podwire.dev/process": "kube-apiserver" });
    expect(pods.map(({ metadata }) => metadata)).toMatchObject(
      ["kube-apiserver", "kube-controller-manager", "kube-scheduler"].map((name) => ({
        name,
        annotations,
        labels: { component: name, tier: "control-plane" },
      })),
    );
  });

  it("a worker has the folder of manifests, with nothing in it", () => {
    const paths = Object.keys(plan.files["node01"] ?? {}).filter((path) => path.includes("/manifests"));
    expect(paths).toEqual(["/etc/kubernetes/manifests/"]);
  });

  it("every node knows every other by name, and the API server only by its node address", () => {
    expect(plan.files["node02"]?.["/etc/hosts"]).toContain("192.168.1.11\tnode01");
    expect(plan.files["node02"]?.["/etc/kubernetes/kubelet.conf"]).toContain("server: https://192.168.1.10:6443");
    expect(plan.files["node02"]).not.toHaveProperty("/etc/kubernetes/admin.conf");
  });
});

describe("the API server's certificate", () => {
  it("has every name and address by which it is reached", () => {
    const names = apiServerNames(resolveConfig({}), "127.20.0.1");
    for (const name of [
      "kubernetes.default.svc.cluster.local",
      "controlplane",
      "192.168.1.10",
      "10.96.0.1",
      "127.20.0.1",
    ])
      expect(names).toContain(name);
  });
});
