import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeMessage, encodeMessage, query, rcodeName } from "#wire/dns/index.ts";

const server = "fe80::53%dns0";
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "podwire-linklocal-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A command that sends a query from one link-local address to another and writes the answer in hexadecimal. */
function asking(name: string): string {
  const packet = Buffer.from(encodeMessage(query(7, { name, type: 1, class: 1 }))).toString("hex");
  writeFileSync(
    join(folder, `${name}mjs`),
    `import { createSocket } from "node:dgram";
    const socket = createSocket("udp6");
    socket.on("message", (answer, { address }) => {
      process.stdout.write(address + " " + answer.toString("hex"));
      socket.close();
    });
    socket.send(Buffer.from("${packet}", "hex"), 5300, "${server}");`,
  );
  return `${process.execPath} ${join(folder, `${name}mjs`)}`;
}

describe("D06 a DNS server of a machine with IPv6 (part: clients with link-local addresses)", () => {
  it("are answered, at once and later, and end nothing", () => {
    // The other name's upstream cannot be reached, which is told later than what is known.
    writeFileSync(
      join(folder, "Corefile"),
      ".:5300 {\n hosts /nowhere {\n 10.0.0.1 a.example\n fallthrough\n }\n forward . 192.0.2.53\n}\n",
    );
    const links = "ip link add dns0 type veth peer name dns1; ip addr add fe80::53/64 dev dns0 nodad";
    const script = `set -e; ${links}; for link in lo dns0 dns1; do ip link set $link up; done; exec "$@"`;
    const words = [process.execPath, "test/support/dnsWalk.ts", join(folder, "Corefile")];
    const commands = [asking("a.example."), asking("b.example."), asking("a.example.")];
    const output = execFileSync("unshare", ["--net", "sh", "-c", script, "sh", ...words, ...commands], {
      timeout: 55_000,
      encoding: "utf8",
    });
    const answers = (JSON.parse(output) as string[]).map((text) => text.split(" ") as [string, string]);
    expect(answers.map(([from]) => from)).toEqual([server, server, server]);
    const rcodes = answers.map(([, bytes]) => rcodeName(decodeMessage(Buffer.from(bytes, "hex")).rcode));
    expect(rcodes).toEqual(["NOERROR", "SERVFAIL", "NOERROR"]);
  });
});
