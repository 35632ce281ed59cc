import { describe, expect, it } from "vitest";
import { testPod } from "../testing.ts";
import { containerIdentity, containerSecurity } from "./security.ts";

/** An image whose /etc/passwd and /etc/group are these. */
const image = {
  files: [
    { path: "/etc/passwd", text: "root:x:0:0::/root:/bin/sh\nweb:x:101:102::/:/bin/sh\n" },
    { path: "/etc/group", text: "web:x:102:\nextra:x:200:web\n" },
  ],
};
const webUser = { uid: 101, gid: 102, groups: [200] };

describe("K03 security contexts (part: capabilities)", () => {
  const of = (securityContext: object) => containerSecurity({ name: "c", securityContext }, undefined);

  it("are Docker's, with what is added and without what is dropped", () => {
    expect(of({}).capabilities).toContain("net_raw");
    expect(of({ capabilities: { drop: ["ALL"], add: ["NET_ADMIN"] } }).capabilities).toEqual(["net_admin"]);
    expect(of({ capabilities: { drop: ["CAP_CHOWN"] } }).capabilities).not.toContain("chown");
    expect(of({ privileged: true }).capabilities).toBeUndefined();
  });

  // linux/capability.h: CAP_LAST_CAP is CAP_CHECKPOINT_RESTORE, 40.
  it("are all with ALL, without those that are dropped by name", () => {
    const all = of({ capabilities: { add: ["ALL"] } }).capabilities;
    expect(all).toHaveLength(41);
    expect(all).toEqual(expect.arrayContaining(["perfmon", "bpf", "checkpoint_restore", "sys_admin", "chown"]));
    const less = of({ capabilities: { add: ["ALL"], drop: ["CHOWN"] } }).capabilities;
    expect(less).toEqual(all?.filter((name) => name !== "chown"));
    expect(of({ capabilities: { add: ["BPF"], drop: ["ALL", "BPF"] } }).capabilities).toEqual([]);
  });

  it("have only names that there are", () => {
    expect(of({ capabilities: { drop: ["ALL"], add: ["NET_ADMINS", "NET_RAW"] } }).capabilities).toEqual(["net_raw"]);
  });
});

// Expected values: Kubernetes documentation, "Configure a Security Context for a Pod or Container".
describe("K03 security contexts (part: users and groups)", () => {
  const of = (pod: object, own: object = {}, of: Parameters<typeof containerIdentity>[2] = image) =>
    containerIdentity(testPod({ securityContext: pod }), { name: "c", securityContext: own }, of);

  it("is root where nobody says other", () => {
    expect(of({})).toEqual({ uid: 0, gid: 0, groups: [0] });
    expect(containerSecurity({ name: "c" }, of({})).user).toBeUndefined();
  });

  it("is the container's before the pod's before the image's", () => {
    expect(of({}, {}, { ...image, user: webUser })).toEqual({ uid: 101, gid: 102, groups: [102, 200] });
    expect(of({ runAsUser: 1000, runAsGroup: 3000, supplementalGroups: [4000] })).toEqual({
      uid: 1000,
      gid: 3000,
      groups: [3000, 4000],
    });
    expect(of({ runAsUser: 1000, fsGroup: 5 }, { runAsGroup: 7 })).toEqual({ uid: 1000, gid: 7, groups: [7, 5] });
    expect(of({ runAsUser: 1000 }, { runAsUser: 2000 }).uid).toBe(2000);
  });

  it("takes the group of a user that the image knows, none of another user's", () => {
    expect(of({ runAsUser: 101 })).toEqual({ uid: 101, gid: 102, groups: [102, 200] });
    expect(of({ runAsUser: 1000 }, {}, { ...image, user: webUser })).toEqual({ uid: 1000, gid: 0, groups: [0] });
  });

  it("reads the image's groups unless the policy is Strict", () => {
    const pod = { runAsUser: 101, supplementalGroups: [4000] };
    expect(of({ ...pod, supplementalGroupsPolicy: "Merge" }).groups).toEqual([102, 200, 4000]);
    expect(of({ ...pod, supplementalGroupsPolicy: "Strict" }).groups).toEqual([102, 4000]);
    expect(of({ supplementalGroupsPolicy: "Strict" }, {}, { ...image, user: webUser }).groups).toEqual([102]);
  });

  it("is refused where root is not wanted, or cannot be ruled out", () => {
    expect(() => of({}, { runAsNonRoot: true })).toThrow("container has runAsNonRoot and image will run as root");
    const named = { ...image, user: { ...webUser, name: "web" } };
    expect(() => of({ runAsNonRoot: true }, {}, named)).toThrow(
      "container has runAsNonRoot and image has non-numeric user (web), cannot verify user is non-root",
    );
    expect(of({ runAsNonRoot: true }, { runAsUser: 5 }, named).uid).toBe(5);
    expect(of({ runAsNonRoot: true }, { runAsNonRoot: false }).uid).toBe(0);
  });
});
