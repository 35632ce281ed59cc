import { createReadStream } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { hasCode } from "#base/errors.ts";
import { RequestError } from "./requests.ts";

/**
 * `/logs/…`: the files of the node's log folder, as upstream's kubelet serves /var/log. Folders are a page of links.
 * @param path after `/logs/`, still encoded
 * @throws RequestError 404, also for links that lead out of the folder
 */
export async function serveNodeLogs(folder: string, path: string, response: ServerResponse): Promise<void> {
  const file = await find(folder, path);
  const { isFolder, size } = await stat(file).then((s) => ({ isFolder: s.isDirectory(), size: s.size }));
  if (isFolder) {
    const entries = await readdir(file, { withFileTypes: true });
    const names = entries.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name)).sort();
    const links = names.map((name) => `<a href="${encodeURI(name)}">${escaped(name)}</a>\n`);
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
    response.end(
      `<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n${links.join("")}</pre>\n`,
    );
    return;
  }
  response.writeHead(200, { "content-type": "text/plain; charset=utf-8", "content-length": size });
  if (size === 0) response.end();
  // As long as it was when asked, though it grows.
  else await pipeline(createReadStream(file, { end: size - 1 }), response);
}

async function find(folder: string, path: string): Promise<string> {
  try {
    const root = await realpath(folder);
    const file = await realpath(join(root, decodeURIComponent(path)));
    if (file === root || file.startsWith(`${root}/`)) return file;
  } catch (error) {
    if (!hasCode(error, "ENOENT") && !hasCode(error, "ENOTDIR") && !(error instanceof URIError)) throw error;
  }
  throw new RequestError(404, "404 page not found");
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}
