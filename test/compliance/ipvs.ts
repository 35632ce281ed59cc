import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseIp } from "#base/ip.ts";
import { type Ipvs, type IpvsOperation, realText, serverText, type VirtualServer } from "#kernel/ipvs/index.ts";
import { protocols } from "#kernel/nft/index.ts";

const server = (protocol: keyof typeof protocols, address: string, port = 80): VirtualServer => ({
  ...{ ip: parseIp(address), protocol: protocols[protocol], port },
  scheduler: "rr",
});
const real = (address: string, weight = 1) => ({ ip: parseIp(address), port: 8080, weight });

/** What IPVS does, the kernel's and the fake alike. @param open IPVS without anything in it */
export function ipvsCompliance(name: string, open: () => Ipvs): void {
  describe(`IPVS (${name})`, () => {
    let ipvs: Ipvs;
    beforeEach(() => {
      ipvs = open();
    });
    afterEach(() => ipvs.close());

    const web = server("TCP", "10.96.0.1");
    const refusals = (operations: readonly IpvsOperation[]): string => {
      try {
        ipvs.apply(operations);
        return "none";
      } catch (error) {
        return (error as Error).message;
      }
    };

    it("keeps virtual servers of both families and three protocols as they were set", () => {
      const all = [
        web,
        { ...server("UDP", "10.96.0.1", 53), persistentSeconds: 10_800 },
        { ...server("SCTP", "fd00::1"), scheduler: "wrr" },
        { ...server("TCP", "fd00::1"), scheduler: "mh", hashesPort: true },
      ];
      ipvs.apply(all.map((one) => ({ op: "add-server", server: one })));
      const byText = (list: readonly VirtualServer[]) => new Map(list.map((one) => [serverText(one), one]));
      expect(byText(ipvs.servers())).toEqual(byText(all));
      ipvs.apply([{ op: "set-server", server: { ...web, scheduler: "lc", persistentSeconds: 60 } }]);
      expect(byText(ipvs.servers()).get("TCP 10.96.0.1:80")).toEqual({
        ...web,
        scheduler: "lc",
        persistentSeconds: 60,
      });
      ipvs.apply([{ op: "set-server", server: web }]);
      expect(byText(ipvs.servers()).get("TCP 10.96.0.1:80")).toEqual(web);
      ipvs.apply(all.map((one) => ({ op: "delete-server", server: one })));
      expect(ipvs.servers()).toEqual([]);
    });

    it("keeps real servers with their weights, which go with their virtual server", () => {
      const held = () => ipvs.realServers(web).map((one) => `${realText(one)} ${one.weight} ${one.activeConnections}`);
      ipvs.apply([
        { op: "add-server", server: web },
        { op: "add-real", server: web, real: real("10.244.1.2") },
        { op: "add-real", server: web, real: real("10.244.1.3") },
        { op: "set-real", server: web, real: real("10.244.1.3", 0) },
      ]);
      expect(held().sort()).toEqual(["10.244.1.2:8080 1 0", "10.244.1.3:8080 0 0"]);
      ipvs.apply([{ op: "delete-real", server: web, real: real("10.244.1.2") }]);
      expect(held()).toEqual(["10.244.1.3:8080 0 0"]);
      ipvs.apply([
        { op: "delete-server", server: web },
        { op: "add-server", server: web },
      ]);
      expect(held()).toEqual([]);
    });

    it("refuses by name what is there already or is not, and does the rest", () => {
      const other = server("TCP", "10.96.0.2");
      expect(
        refusals([
          { op: "add-server", server: web },
          { op: "add-server", server: web },
          { op: "add-server", server: other },
        ]),
      ).toBe("add virtual server TCP 10.96.0.1:80: EEXIST");
      expect(ipvs.servers()).toHaveLength(2);
      const lost = real("10.244.1.9");
      expect(refusals([{ op: "delete-real", server: web, real: lost }])).toBe(
        "delete real server 10.244.1.9:8080 of TCP 10.96.0.1:80: ENOENT",
      );
      expect(refusals([{ op: "set-real", server: web, real: lost }])).toContain("ENOENT");
      ipvs.apply([{ op: "add-real", server: web, real: lost }]);
      expect(refusals([{ op: "add-real", server: web, real: lost }])).toContain("EEXIST");
      const nowhere = server("TCP", "10.96.0.3");
      for (const op of ["set-server", "delete-server"] as const)
        expect(refusals([{ op, server: nowhere }])).toContain("TCP 10.96.0.3:80: ESRCH");
      expect(refusals([{ op: "add-real", server: nowhere, real: lost }])).toContain("ESRCH");
      expect(ipvs.realServers(nowhere)).toEqual([]);
    });
  });
}
