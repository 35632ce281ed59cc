import type { ImageFile } from "./source.ts";

/** Folder of the default pages, where the registry's image has it. */
export const NGINX_HTML = "/usr/share/nginx/html";

const WELCOME = `<!DOCTYPE html>
<html>
<head><title>Welcome to nginx!</title></head>
<body>
<h1>Welcome to nginx!</h1>
<p>This nginx was started by Podwire from the machine's own files.</p>
</body>
</html>
`;

const ERROR_PAGE = `<!DOCTYPE html>
<html><head><title>Error</title></head><body><h1>An error occurred.</h1></body></html>
`;

function mainConfig(user: string): string {
  return `user ${user};
worker_processes 1;
error_log /dev/stderr notice;
pid /run/nginx.pid;
events { worker_connections 512; }
http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    log_format main '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
                    '"$http_referer" "$http_user_agent" "$http_x_forwarded_for"';
    access_log /dev/stdout main;
    sendfile on;
    keepalive_timeout 65;
    include /etc/nginx/conf.d/*.conf;
}
`;
}

const DEFAULT_SERVER = `server {
    listen 80;
    listen [::]:80;
    server_name localhost;
    location / {
        root ${NGINX_HTML};
        index index.html index.htm;
    }
    error_page 500 502 503 504 /50x.html;
    location = /50x.html { root ${NGINX_HTML}; }
}
`;

/** The types a small web server needs; nginx's own table is not on every machine. */
const MIME_TYPES = `types {
    text/html html htm;
    text/css css;
    text/plain txt;
    text/xml xml;
    image/gif gif;
    image/jpeg jpeg jpg;
    image/png png;
    image/svg+xml svg;
    image/webp webp;
    image/x-icon ico;
    application/javascript js mjs;
    application/json json;
    application/wasm wasm;
    font/woff2 woff2;
}
`;

/** Folders that Debian's build of nginx writes to. */
const WRITABLE = ["", "/body", "/proxy", "/fastcgi", "/scgi", "/uwsgi"].map((p) => `/var/lib/nginx${p}`);

/**
 * The files of the nginx template.
 * @param user who the workers run as: www-data, or root where no second user can be had
 * @param pages folder inside the root that is mounted on the pages' place in the read-only /usr
 */
export function nginxFiles(user: string, pages: string): readonly ImageFile[] {
  return [
    { path: "/etc/nginx", folder: true },
    { path: "/etc/nginx/conf.d", folder: true },
    { path: "/etc/nginx/nginx.conf", text: mainConfig(user) },
    { path: "/etc/nginx/mime.types", text: MIME_TYPES },
    { path: "/etc/nginx/conf.d/default.conf", text: DEFAULT_SERVER },
    { path: "/var/log/nginx", folder: true },
    ...WRITABLE.map((path): ImageFile => ({ path, folder: true })),
    { path: "/.podwire", folder: true },
    { path: pages, folder: true },
    { path: `${pages}/index.html`, text: WELCOME },
    { path: `${pages}/50x.html`, text: ERROR_PAGE },
  ];
}
