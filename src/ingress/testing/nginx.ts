import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer as createHttpServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLogger } from "#base/log.ts";
import { freePorts } from "#base/testing/ports.ts";
import type { IngressModel } from "../model.ts";
import { Nginx, type NginxOptions } from "../nginx.ts";
import { type NginxPlace, renderConfig } from "../plan.ts";
import { defaultSettings } from "../settings.ts";

/** A real nginx on loopback in a folder of its own. */
export class TestNginx {
  readonly directory = mkdtempSync(join(tmpdir(), "podwire-nginx-"));
  readonly place: NginxPlace;
  readonly nginx: Nginx;

  constructor(ports: { http: number; status: number }, options: Partial<NginxOptions>) {
    this.place = {
      httpPort: ports.http,
      statusPort: ports.status,
      ipv6: false,
      user: "root",
      directory: this.directory,
    };
    const configFile = join(this.directory, "nginx.conf");
    const log = createLogger("test", { write: () => {} });
    this.nginx = new Nginx({ directory: this.directory, configFile, ...options }, { log });
  }

  static async create(options: Partial<NginxOptions> = {}): Promise<TestNginx> {
    const [http = 0, status = 0] = await freePorts(2);
    return new TestNginx({ http, status }, options);
  }

  /** The base of every request. */
  get url(): string {
    return `http://127.0.0.1:${this.place.httpPort}`;
  }

  apply(model: IngressModel, revision = "test"): Promise<void> {
    return this.nginx.apply(renderConfig(model, defaultSettings, this.place, revision).text);
  }

  async stop(): Promise<void> {
    await this.nginx.stop();
    rmSync(this.directory, { recursive: true });
  }
}

/** What a backend of the tests saw. */
export interface Seen {
  readonly service: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** An HTTP server that answers with its name and the request. */
export async function startBackend(name: string): Promise<{ port: number; server: Server }> {
  const server = createHttpServer((request, response) => {
    response.end(JSON.stringify({ service: name, url: request.url, headers: request.headers }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as AddressInfo).port, server };
}

/** An answer as curl sees it. */
export interface CurlAnswer {
  readonly status: number;
  readonly body: string;
  readonly location: string;
}

/** A request by the real curl; the path goes out as it is. */
export async function curl(url: string, headers: Readonly<Record<string, string>> = {}): Promise<CurlAnswer> {
  const args = ["-s", "--path-as-is", "--noproxy", "*", "-m", "5", "-w", "\n%{http_code} %{redirect_url}", url];
  for (const [name, value] of Object.entries(headers)) args.push("-H", `${name}: ${value}`);
  const text = await new Promise<string>((resolve, reject) => {
    execFile("curl", args, (error, stdout) => (error ? reject(error) : resolve(stdout)));
  });
  const at = text.lastIndexOf("\n");
  const [status = "0", location = ""] = text.slice(at + 1).split(" ");
  return { status: Number(status), body: text.slice(0, at), location };
}
