import { describe, expect, it } from "vitest";
import { collide, parsePublish, portText } from "./model.ts";

describe("C03 -p (part: its value)", () => {
  it.each([
    ["8080:80", { host: 8080, container: 80, protocol: "tcp" }],
    ["0.0.0.0:8080:80/tcp", { host: 8080, container: 80, protocol: "tcp" }],
    ["127.0.0.1:53:5353/udp", { ip: "127.0.0.1", host: 53, container: 5353, protocol: "udp" }],
  ])("%s", (text, port) => expect(parsePublish(text)).toEqual(port));

  it.each([
    ["80", "wanted [IP:]HOST:CONTAINER[/udp]"],
    ["1:2:3:4", "wanted [IP:]HOST:CONTAINER[/udp]"],
    ["8080:http", "invalid containerPort: http"],
    ["8080:0", "invalid containerPort: 0"],
    ["65536:80", "invalid hostPort: 65536"],
    [":80", "invalid hostPort: "],
    ["localhost:8080:80", "invalid IP address: localhost"],
    ["8080:80/sctp", "invalid proto: sctp"],
    ["8080:80/tcp/udp", "invalid proto: tcp/udp"],
  ])("refuses %s", (text, message) => expect(() => parsePublish(text)).toThrow(message));

  it("collides on the same port of the same address and protocol", () => {
    const every = parsePublish("8080:80");
    const one = parsePublish("10.0.0.1:8080:81");
    expect(collide(every, one)).toBe(true);
    expect(collide(one, one)).toBe(true);
    expect(collide(one, parsePublish("10.0.0.2:8080:81"))).toBe(false);
    expect(collide(every, parsePublish("8080:80/udp"))).toBe(false);
    expect(collide(every, parsePublish("8081:80"))).toBe(false);
  });

  it("shows as in docker ps", () => {
    expect(portText(parsePublish("8080:80"))).toBe("0.0.0.0:8080->80/tcp, [::]:8080->80/tcp");
    expect(portText(parsePublish("127.0.0.1:53:53/udp"))).toBe("127.0.0.1:53->53/udp");
  });
});
