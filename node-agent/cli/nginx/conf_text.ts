/**
 * The text for nginx: maps, upstreams and one server. Pure.
 *
 * @module
 */

import { CONTENT_TYPES, SHOWN_TYPES } from "@kedge/schema/content-types";
import { isLoopback } from "@kedge/schema/config/units";
import { hexByte } from "@kedge/schema/file-id";
import { RANGES_MAX } from "@kedge/schema";
import {
  CONTENT_POLICY,
  EXPOSED_HEADERS,
  IMMUTABLE,
} from "@kedge/schema/download-headers";
import type { FilesHere, NginxGroup, NginxPlan } from "./plan.ts";

/**
 * Names of files that never change: base64url, where the 12th character has the
 * bit of an appender file unset (`@kedge/schema/file-id`), and an extension.
 */
const FIXED_NAME = "[A-Za-z0-9_-]{11}[A-DI-LQ-TYZabg-jo-rw-z4-7]" +
  "[A-Za-z0-9_-]{15}[A-Za-z0-9._-]{0,40}\\.[A-Za-z0-9]{1,6}";

/** The whole file. */
export function nginxConf(plan: NginxPlan): string {
  return [
    ...head(plan),
    ...maps(plan),
    ...plan.groups.flatMap((group) => upstream(group)),
    "server {",
    ...indent(server(plan)),
    "}",
    "",
  ].join("\n");
}

function head({ mode, notes }: NginxPlan): string[] {
  const how = mode === "direct"
    ? [
      "# nginx sends the files by itself, from the disk. It reaches them through a",
      "# folder that bears the present second as its name: the agent makes it only",
      "# while it may serve reads itself. Whatever nginx does not find that way, it",
      "# asks an agent for: a replica that has not got the file yet, files that may",
      "# change, damaged and deleted ones, an agent that is stopped or cut off.",
    ]
    : [
      "# An agent decides about every download: links, addresses, deletes. Small",
      "# files come from it, checked; large ones it lets nginx send (X-Accel-Redirect).",
    ];
  return [
    "# Kedge's downloads through nginx. Made by `kedge nginx-config`; make it again",
    "# when groups, store paths or agents change. Put it into",
    "# /etc/nginx/conf.d/kedge.conf, then: nginx -t && systemctl reload nginx",
    "#",
    ...how,
    ...notes.flatMap((note) => ["#", `# ${note}`]),
    "",
  ];
}

function maps({ mode, groups }: NginxPlan): string[] {
  // They name what only the locations of files set.
  const isDirect = mode === "direct" &&
    groups.some(({ files }) => files !== undefined);
  const direct = [
    "# The present second, as the agent names its leave.",
    "map $msec $kedge_second {",
    '    "~^(?<kedge_s>[0-9]+)\\." $kedge_s;',
    "    default none;",
    "}",
    "",
    "# Asked of an agent: another name to save it under, or the agent's own tag.",
    'map "$args $http_if_none_match $http_if_match $http_if_range" $kedge_ask {',
    "    default 0;",
    '    "~(^|&)(download|filename)=" 1;',
    '    "~[0-9a-f]{64}" 1;',
    "}",
    "",
    "# What a browser may show in place; everything else it saves.",
    "map $sent_http_content_type $kedge_disposition {",
    `    "~${SHOWN_TYPES.source.replaceAll("\\/", "/")}" "";`,
    "    default 'attachment; filename=\"$kedge_name\"';",
    "}",
    "",
  ];
  return [
    ...(isDirect ? direct : []),
    "# The log has no query: a link in it would be a key for everybody who reads it.",
    "map $request_uri $kedge_logged {",
    '    "~^(?<kedge_p>[^?]*)" $kedge_p;',
    "}",
    "log_format kedge '$remote_addr [$time_iso8601] $request_method $kedge_logged '",
    "    '$status $body_bytes_sent ${request_time}s \"$http_user_agent\" $upstream_addr';",
    "",
  ];
}

function upstream({ name, agents }: NginxGroup): string[] {
  const hasHere = agents.some(({ isHere }) => isHere);
  const [, ...others] = agents;
  const block = (title: string, list: NginxGroup["agents"]) => [
    `upstream ${title} {`,
    ...list.map(({ url, isHere }) => {
      const backup = hasHere && !isHere && list === agents ? " backup" : "";
      const server = `${hostPort(url)} max_fails=1 fail_timeout=10s${backup}`;
      return `    server ${server};`;
    }),
    "    keepalive 32;",
    "    keepalive_timeout 30s;",
    "}",
    "",
  ];
  return [
    `# Agents of ${name}; the others answer when the one here does not.`,
    ...block(`kedge_${name}`, agents),
    ...(others.length === 0 ? [] : [
      "# Asked when the first one cannot know (503).",
      ...block(`kedge_${name}_others`, others),
    ]),
  ];
}

function server(plan: NginxPlan): string[] {
  const { listen, serverName, tls, mode, accessLog } = plan;
  return [
    `listen ${listen}${tls === undefined ? "" : " ssl http2"};`,
    `server_name ${serverName};`,
    ...(tls === undefined ? [] : [
      `ssl_certificate ${quoted(tls.certFile)};`,
      `ssl_certificate_key ${quoted(tls.keyFile)};`,
      "ssl_protocols TLSv1.2 TLSv1.3;",
    ]),
    accessLog === "off"
      ? "access_log off;"
      : `access_log ${quoted(accessLog)} kedge;`,
    "server_tokens off;",
    "",
    "# Paths are taken as they were sent, and nobody uploads here.",
    "merge_slashes off;",
    "client_max_body_size 1k;",
    "",
    "sendfile on;",
    "tcp_nopush on;",
    "# Remembered files would be served after they were deleted.",
    "open_file_cache off;",
    "# A compressed answer has no ranges and another tag.",
    "gzip off;",
    `max_ranges ${RANGES_MAX};`,
    "recursive_error_pages on;",
    "",
    "# Nothing but files.",
    "location / {",
    "    return 404;",
    "}",
    ...plan.groups.slice(0, 1).flatMap(({ name }) => [
      "# For old URLs without a group (FastDFS: url_have_group_name = false):",
      `# location ~ "^/M[0-9A-F]{2}/" { return 301 /${name}$request_uri; }`,
    ]),
    ...plan.groups.flatMap((group) => ["", ...groupBlock(plan, group)]),
    ...(mode === "accel" ? ACCEL_404 : []),
  ];
}

const ACCEL_404 = [
  "",
  "# Paths of agents that are not on this machine, or of nobody.",
  "location /.kedge/ {",
  "    internal;",
  "    return 404;",
  "}",
];

function groupBlock(plan: NginxPlan, group: NginxGroup): string[] {
  const { name, files } = group;
  const own = files === undefined
    ? []
    : plan.mode === "direct"
    ? ["", ...directBlock(group, files)]
    : ["", ...accelBlocks(name, files)];
  return [
    `# ---- ${name}`,
    `location /${name}/ {`,
    ...indent(READ_ONLY),
    `    error_page 418 = @kedge_${name};`,
    "    return 418;",
    "}",
    ...own,
    "",
    `location @kedge_${name} {`,
    ...indent([
      ...proxy(plan, group, `kedge_${name}`),
      ...(group.agents.length === 1 ? [] : [
        "proxy_intercept_errors on;",
        `error_page 503 = @kedge_${name}_others;`,
      ]),
    ]),
    "}",
    ...(group.agents.length === 1 ? [] : [
      "",
      `location @kedge_${name}_others {`,
      ...indent(proxy(plan, group, `kedge_${name}_others`)),
      "}",
    ]),
  ];
}

const READ_ONLY = ["limit_except GET HEAD { deny all; }"];

function directBlock({ name }: NginxGroup, files: FilesHere): string[] {
  const paths = files.folders.map((_, index) => hexByte(index)).join("|");
  const dir = files.linksDir ?? "";
  return [
    ...files.folders.map((folder, index) =>
      `# ${name}/M${hexByte(index)} lies in ${folder}`
    ),
    `location ~ "^/${name}/(?<kedge_file>M(?:${paths})/[0-9A-F]{2}/[0-9A-F]{2}` +
    `/(?<kedge_name>${FIXED_NAME}))$" {`,
    ...indent([
      ...READ_ONLY,
      "if ($kedge_ask) { return 418; }",
      "# A copy here that is known to be bad.",
      `if (-f ${quoted(`${dir}/damaged/$kedge_name`)}) { return 418; }`,
      `root ${quoted(`${dir}/$kedge_second`)};`,
      `try_files /$kedge_file @kedge_${name};`,
      `error_page 403 404 418 = @kedge_${name};`,
      "",
      "etag on;",
      "if_modified_since before;",
      `add_header Cache-Control "${IMMUTABLE}";`,
      "add_header Content-Disposition $kedge_disposition;",
      ...safeHeaders(),
      "default_type application/octet-stream;",
      ...types(),
    ]),
    "}",
  ];
}

function accelBlocks(name: string, files: FilesHere): string[] {
  return files.folders.flatMap((folder, index) => [
    ...(index === 0 ? [] : [""]),
    "# Only an agent leads here: what it says of the file stays as it is.",
    `location ^~ /.kedge/${name}/M${hexByte(index)}/ {`,
    ...indent([
      "internal;",
      `alias ${quoted(`${folder}/`)};`,
      "etag off;",
      "if_modified_since off;",
      "add_header ETag $upstream_http_etag;",
      "add_header Last-Modified $upstream_http_last_modified;",
      ...safeHeaders(),
    ]),
    "}",
  ]);
}

function proxy(
  plan: NginxPlan,
  { agents, files }: NginxGroup,
  upstream: string,
): string[] {
  const scheme = agents.some(({ url }) => url.startsWith("https:"))
    ? "https"
    : "http";
  const tls = scheme === "http" ? [] : agentTls(plan, agents);
  return [
    ...READ_ONLY,
    "# Exactly the path and query that were sent.",
    `proxy_pass ${scheme}://${upstream}$request_uri;`,
    ...tls,
    "proxy_http_version 1.1;",
    'proxy_set_header Connection "";',
    "proxy_set_header Host $host;",
    "# Counts only when the agents have `trusted_proxies` for this machine.",
    "proxy_set_header X-Forwarded-For $remote_addr;",
    "# Whose files nginx can send here, if any.",
    `proxy_set_header X-Kedge-Accel ${
      plan.mode === "accel" && files !== undefined ? `${files.node}` : '""'
    };`,
    "# Another agent is asked when one does not answer.",
    "proxy_next_upstream error timeout;",
    "proxy_next_upstream_tries 3;",
    "proxy_connect_timeout 2s;",
    "# One that hangs is left, too; or one that has to fetch a large file first.",
    "proxy_read_timeout 10s;",
    "# Large answers are passed on, not kept on this disk.",
    "proxy_max_temp_file_size 0;",
  ];
}

/** nginx checks one name for all agents of a group, and no addresses. */
function agentTls(
  { caFile }: NginxPlan,
  agents: NginxGroup["agents"],
): string[] {
  const hosts = agents.map(({ url }) => new URL(url).hostname);
  if (hosts.every(isLoopback)) {
    return ["# Agents of this machine only.", "proxy_ssl_verify off;"];
  }
  const ca = caFile ?? "/etc/ssl/certs/ca-certificates.crt";
  return [
    "# This name must stand in the certificates of all agents of the group.",
    `proxy_ssl_name ${hosts[0] ?? ""};`,
    "proxy_ssl_server_name on;",
    "proxy_ssl_verify on;",
    `proxy_ssl_trusted_certificate ${quoted(ca)};`,
  ];
}

/** With the port, which nginx would take for 80. */
function hostPort(url: string): string {
  const { host, port, protocol } = new URL(url);
  if (port !== "") return host;
  return `${host}:${protocol === "https:" ? 443 : 80}`;
}

function safeHeaders(): string[] {
  return [
    "add_header X-Content-Type-Options nosniff;",
    `add_header Content-Security-Policy "${CONTENT_POLICY}";`,
    'add_header Access-Control-Allow-Origin "*";',
    `add_header Access-Control-Expose-Headers "${EXPOSED_HEADERS}";`,
  ];
}

function types(): string[] {
  const byType = Map.groupBy(
    Object.keys(CONTENT_TYPES).filter((extension) => !extension.includes(".")),
    (extension) => CONTENT_TYPES[extension] ?? "",
  );
  const lines = [...byType].map(([type, extensions]) =>
    `    "${type}" ${extensions.join(" ")};`
  );
  return ["types {", ...lines, "}"];
}

function indent(lines: readonly string[]): string[] {
  return lines.map((line) => line === "" ? "" : `    ${line}`);
}

/** A text as one word; nginx's own variables in it stay variables. */
function quoted(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
