import assert from "node:assert/strict";
import type { AgentHere } from "./agents_here.ts";
import { nginxConf } from "./conf_text.ts";
import { type Found, planGroups } from "./gather.ts";
import type { NginxPlan } from "./plan.ts";
import { encodeFileName, parseFileId } from "@kedge/schema/file-id";

const ALFA: AgentHere = {
  node: 1,
  group: "group1",
  url: "http://10.0.0.1:8081",
  linksDir: "/run/kedge/nginx",
  needsLinks: false,
  folders: ["/disk one/data", "/disk2/data"],
};
const BETA: AgentHere = {
  ...ALFA,
  node: 5,
  group: "group2",
  url: "https://files.example.com",
  linksDir: undefined,
};

Deno.test("the agent whose files nginx has comes first, the others are backups", () => {
  const second = { ...ALFA, node: 2, url: "http://10.0.0.1:8082" };
  const conf = text({ here: [ALFA, second, BETA], groups: "no answer" });
  assert.match(
    conf,
    /server 10\.0\.0\.1:8081 [^\n]*10s;\n[^\n]*server 10\.0\.0\.1:8082 [^\n]* backup;/,
  );
  // A file that nobody can give (503) must not count as an agent that is down.
  assert.doesNotMatch(conf, /http_503/);
  assert.match(conf, /error_page 503 = @kedge_group1_others;/);
  assert.match(conf, /server files\.example\.com:443 /);
  assert.match(conf, /proxy_pass https:\/\/kedge_group2\$request_uri;/);
  assert.match(conf, /proxy_ssl_verify on;/);
  assert.match(conf, /# Agents on other machines are missing here: no answer/);
});

Deno.test("every store path of this machine, and no other", () => {
  const conf = text({ here: [ALFA] });
  assert.match(conf, /M\(\?:00\|01\)/);
  const accel = text({ here: [ALFA], mode: "accel" });
  assert.match(accel, /alias "\/disk one\/data\/";/);
  assert.match(accel, /\^~ \/\.kedge\/group1\/M01\//);
  assert.match(accel, /X-Kedge-Accel 1;/);
  assert.doesNotMatch(accel, /try_files/);
});

Deno.test("files that need links are never served without an agent", () => {
  const here = [{ ...ALFA, needsLinks: true }];
  assert.doesNotMatch(text({ here }), /try_files/);
  assert.throws(() => text({ here, mode: "direct" }), /nobody would check/);
});

Deno.test("without leave or files everything is asked for, and said", () => {
  const conf = text({ here: [BETA] });
  assert.doesNotMatch(conf, /try_files/);
  assert.doesNotMatch(conf, /kedge_name/, "nginx refuses an unknown variable");
  assert.match(conf, /# group2: no agent here gives leave/);
  assert.throws(() => text({ here: [] }), /Cannot find any agent/);
});

Deno.test("a folder cannot become a directive", () => {
  const here = [{ ...ALFA, folders: ['/a"; deny all; #'] }];
  assert.match(text({ here, mode: "accel" }), /alias "\/a\\"; deny all; #\/";/);
  for (const path of ["/a$uri", "/a\nroot /"]) {
    const bad = [{ ...ALFA, folders: [path] }];
    assert.throws(() => text({ here: bad }), /nginx cannot be given/);
  }
});

Deno.test("the pattern of names takes what never changes, and no appender", () => {
  const [, pattern = ""] =
    /^ +location ~ "(.*)" \{/m.exec(text({ here: [ALFA] })) ??
      [];
  const names = new RegExp(pattern);
  for (let random = 0; random < 500; random++) {
    for (const appender of [false, true]) {
      const name = encodeFileName({
        origin: 1 + random,
        createdS: 1_795_331_068 + random * 977,
        sizeBytes: random * 1_000_003,
        crc32: random * 7_777_777,
        appender,
        random: random * 16_411,
        digits: random,
        extension: "jpg",
      });
      const id = `group1/M01/0A/FF/${name}`;
      assert.equal(parseFileId(id)?.kind, appender ? "appender" : "normal");
      assert.equal(names.test(`/${id}`), !appender, id);
      const derived = id.replace(".jpg", "_150x150.jpg");
      assert.equal(names.test(`/${derived}`), !appender, derived);
      assert(!names.test(`/${id}-m`), "FastDFS's metadata file");
    }
  }
});

function text(found: Partial<Found>): string {
  const plan: NginxPlan = {
    ...planGroups({ here: [], groups: [], mode: undefined, ...found }),
    listen: "80",
    serverName: "_",
    accessLog: "off",
    tls: undefined,
    caFile: undefined,
  };
  return nginxConf(plan);
}
