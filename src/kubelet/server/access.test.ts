import type { IncomingMessage } from "node:http";
import { describe, expect, it } from "vitest";
import { type ApiRequest, type ApiResponse, Client, type Transport } from "#api/index.ts";
import { accessOf, KubeletAccess } from "./access.ts";
import { RequestError } from "./requests.ts";

/** An API that answers reviews, and keeps what it was asked. */
function reviewer(allowed: readonly string[], tokens: Readonly<Record<string, string>> = {}) {
  const asked: Record<string, unknown>[] = [];
  const transport = {
    request: async (request: ApiRequest): Promise<ApiResponse> => {
      const body = JSON.parse(String(request.body)) as { kind: string; spec: Record<string, unknown> };
      asked.push(body.spec);
      return answer(body.kind === "TokenReview" ? tokenStatus(body.spec) : { allowed: isAllowed(body.spec) });
    },
    close: async () => {},
  };
  const tokenStatus = ({ token }: Record<string, unknown>) => {
    const username = tokens[String(token)];
    return username ? { authenticated: true, user: { username, groups: ["system:authenticated"] } } : {};
  };
  const isAllowed = (spec: Record<string, unknown>) => {
    const { verb, subresource } = spec["resourceAttributes"] as Record<string, string>;
    return allowed.includes(`${String(spec["user"])} ${verb} ${subresource}`);
  };
  const answer = (status: unknown): ApiResponse => {
    const bytes = Buffer.from(JSON.stringify({ status }));
    async function* body() {
      yield bytes;
    }
    return { status: 201, headers: {}, body: body() } as unknown as ApiResponse;
  };
  const access = new KubeletAccess(
    { nodeName: "node01", apiServer: "kube-apiserver-kubelet-client" },
    new Client(transport as unknown as Transport),
  );
  return { access, asked };
}

function request(who: { cn?: string; o?: string; token?: string; trusted?: boolean }, method = "GET"): IncomingMessage {
  const { cn, o, token, trusted = cn !== undefined } = who;
  return {
    method,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    socket: { authorized: trusted, getPeerCertificate: () => ({ subject: { CN: cn, O: o } }) },
  } as unknown as IncomingMessage;
}

async function outcome(checked: Promise<void>): Promise<string> {
  try {
    await checked;
    return "in";
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    return `${error.status} ${error.message}`;
  }
}

describe("what a request to the node agent needs", () => {
  it.each([
    ["GET", "/stats/summary", "get stats"],
    ["GET", "/metrics/resource", "get metrics"],
    ["GET", "/metricsx", "get proxy"],
    ["GET", "/pods", "get pods proxy"],
    ["GET", "/healthz", "get healthz proxy"],
    ["POST", "/run/ns/p/c", "create proxy"],
    ["GET", "/exec/ns/p/c", "get proxy"],
    ["GET", "/containerLogs/ns/p/c", "get proxy"],
    ["PUT", "/logs/", "update log"],
  ])("%s %s: %s", (method, path, wanted) => {
    const { verb, subresources } = accessOf(method, path);
    expect([verb, ...subresources].join(" ")).toBe(wanted);
  });
});

describe("who may use the node agent", () => {
  it("the API server by its certificate, without a question", async () => {
    const { access, asked } = reviewer([]);
    expect(await outcome(access.check(request({ cn: "kube-apiserver-kubelet-client" }), "/exec/a/b/c"))).toBe("in");
    expect(asked).toEqual([]);
  });

  it("a token's user is not the API server, whatever its name", async () => {
    const { access } = reviewer([], { odd: "kube-apiserver-kubelet-client" });
    expect(await outcome(access.check(request({ token: "odd" }), "/run/a/b/c"))).toMatch(/^403 Forbidden/);
  });

  it("nobody without a name, nor with a certificate of somebody else's authority", async () => {
    const { access, asked } = reviewer([]);
    expect(await outcome(access.check(request({}), "/healthz"))).toBe("401 Unauthorized");
    const foreign = request({ cn: "kube-apiserver-kubelet-client", trusted: false });
    expect(await outcome(access.check(foreign, "/pods"))).toBe("401 Unauthorized");
    expect(await outcome(access.check(request({ token: "wrong" }), "/pods"))).toBe("401 Unauthorized");
    expect(asked).toEqual([{ token: "wrong" }]);
  });

  it("others as the API says, which is asked once", async () => {
    const { access, asked } = reviewer(["prometheus get metrics"], { good: "prometheus" });
    const scrape = () => outcome(access.check(request({ token: "good" }), "/metrics"));
    expect([await scrape(), await scrape()]).toEqual(["in", "in"]);
    expect(asked).toEqual([
      { token: "good" },
      {
        user: "prometheus",
        groups: ["system:authenticated"],
        resourceAttributes: { verb: "get", version: "v1", resource: "nodes", subresource: "metrics", name: "node01" },
      },
    ]);
    expect(await outcome(access.check(request({ token: "good" }), "/run/a/b/c"))).toBe(
      "403 Forbidden (user=prometheus, verb=get, resource=nodes, subresource(s)=[proxy]) on node node01",
    );
  });

  it("a node's certificate is somebody like any other", async () => {
    const { access } = reviewer(["system:node:node02 get proxy"]);
    const node = (cn: string) => request({ cn, o: "system:nodes" });
    expect(await outcome(access.check(node("system:node:node01"), "/pods"))).toMatch(/^403 /);
    // The more general subresource will do.
    expect(await outcome(access.check(node("system:node:node02"), "/pods"))).toBe("in");
  });
});
