import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:tls";
import { describe, expect, it } from "vitest";
import { makePki } from "./index.ts";

describe("certificates of a cluster", () => {
  it("are issued by one authority, name what they serve, and make a mutual TLS connection", async () => {
    const pki = await makePki({
      apiNames: ["kubernetes", "127.0.0.1", "fd00::1"],
      nodes: [{ name: "node01", addresses: ["192.168.1.11"] }],
    });
    const ca = new X509Certificate(pki.ca);
    const api = new X509Certificate(pki.apiserver.cert);
    expect(api.verify(ca.publicKey)).toBe(true);
    expect(api.checkIP("127.0.0.1")).toBe("127.0.0.1");
    expect(api.checkHost("kubernetes")).toBe("kubernetes");
    expect(new X509Certificate(pki.admin.cert).subject).toBe("O=system:masters\nCN=kubernetes-admin");
    expect(new X509Certificate(pki.nodes["node01"]?.cert ?? "").subject).toBe("O=system:nodes\nCN=system:node:node01");

    const server = createServer(
      { ...pki.apiserver, ca: pki.ca, requestCert: true, rejectUnauthorized: true },
      (socket) => {
        socket.end(socket.getPeerCertificate().subject.CN as string);
      },
    );
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const socket = connect({
      port: (server.address() as AddressInfo).port,
      host: "127.0.0.1",
      ca: pki.ca,
      ...pki.admin,
    });
    const [data] = (await once(socket, "data")) as [Buffer];
    expect(data.toString()).toBe("kubernetes-admin");
    server.close();
  });
});
