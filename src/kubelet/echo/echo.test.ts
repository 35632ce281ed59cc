import { describe, expect, it } from "vitest";
import { echoAnswer } from "./answer.ts";
import { parseEchoOptions } from "./options.ts";

const identity = { pod: "wear-1", namespace: "app-space", node: "node01", addresses: ["10.244.1.2"] };
const request = {
  method: "GET",
  url: "/wear?x=1",
  headers: { host: "wear.example", accept: "*/*" },
  client: "10.244.2.2:5",
  server: "10.244.1.2:8080",
};

describe("podwire/echo", () => {
  it("reads its arguments", () => {
    expect(parseEchoOptions([], [])).toEqual({ ports: [8080], status: 200 });
    expect(parseEchoOptions([], [80, 81])).toEqual({ ports: [80, 81], status: 200 });
    const all = ["--port=1", "--port=2", "--body=a=b c", "--status=404", "--only=/"];
    expect(parseEchoOptions(all, [80])).toEqual({ ports: [1, 2], status: 404, body: "a=b c", only: "/" });
    expect(() => parseEchoOptions(["--prot=1"], [])).toThrow('unknown argument "--prot=1"; there are --port=N');
    expect(() => parseEchoOptions(["--port=0"], [])).toThrow("wanted a number from 1 to 65535");
  });

  it("says who answers, where, and what was asked", () => {
    const answer = echoAnswer({ ports: [], status: 200 }, identity, request);
    expect(JSON.parse(answer.body)).toMatchObject({
      pod: "wear-1",
      node: "node01",
      client: "10.244.2.2:5",
      path: "/wear?x=1",
      host: "wear.example",
    });
    const text = echoAnswer({ ports: [], status: 200 }, identity, { ...request, headers: { accept: "text/plain" } });
    expect(text.body).toContain("pod: wear-1\n");
    expect(text.body).toContain("header accept: text/plain\n");
  });

  it("G03 answers only where it is told to (part: the backend that shows a missing rewrite)", () => {
    const shop = parseEchoOptions(["--body=Welcome", "--only=/"], []);
    expect(echoAnswer(shop, identity, { ...request, url: "/?q=1" })).toMatchObject({ status: 200, body: "Welcome\n" });
    expect(echoAnswer(shop, identity, request)).toMatchObject({ status: 404, body: "404 Not Found: /wear\n" });
  });
});
