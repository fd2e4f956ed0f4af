import assert from "node:assert/strict";
import {
  TUTORIAL_STORAGE,
  TUTORIAL_TRACKER,
} from "../../schema/fastdfs_conf/tutorial_fixture.ts";
import { atLeast } from "../adapters/log.ts";
import { runAsProblem, runAsWords } from "./config/run_as_core.ts";
import { run } from "./testdata/fake_context.ts";

async function inTemp(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-config-" });
  try {
    await Deno.writeTextFile(`${dir}/storage.conf`, TUTORIAL_STORAGE);
    await Deno.writeTextFile(`${dir}/tracker.conf`, TUTORIAL_TRACKER);
    await work(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("kedge config import reports every key, the settings and the commands", () =>
  inTemp(async (dir) => {
    const files = [`${dir}/storage.conf`, `${dir}/tracker.conf`];
    const { code, out } = await run(["config", "import", ...files]);
    assert.equal(code, 0, out);
    assert.match(out, /storage.conf \(storage\): 24 mapped, 34 not needed/);
    assert.match(
      out,
      /26 +subdir_count_per_path +256 +subdir_count_per_path = /,
    );
    assert.match(out, /store_lookup +2 +KEDGE_STORE_LOOKUP=load_balance/);
    assert.match(out, /heart_beat_interval.*: Trackers say how often/);
    assert.match(out, /use_access_log: asks for nothing/);
    assert.match(out, /^ {2}fastdfs_allow_hosts = \*$/m);
    assert.match(out, /^ {2}kedge agent --fastdfs-conf .*--token-file token$/m);
    const json = await run(["config", "import", "--json", ...files]);
    const { files: told, agent, tracker } = JSON.parse(json.out);
    assert.equal(told[0].keys.length, 58);
    assert.equal(agent.group, "group1");
    assert.equal(tracker.KEDGE_STORE_SERVER, "round_robin");
  }));

Deno.test("kedge config import writes files that agent and tracker take", () =>
  inTemp(async (dir) => {
    const words = ["config", "import", `${dir}/storage.conf`];
    words.push(`${dir}/tracker.conf`, "--out", `${dir}/agent.json`);
    words.push("--tracker-out", `${dir}/tracker.env`);
    const dry = await run([...words, "--dry-run"]);
    assert.equal(dry.code, 0);
    await assert.rejects(Deno.stat(`${dir}/agent.json`));
    assert.equal((await run(words)).code, 0);
    const agent = JSON.parse(await Deno.readTextFile(`${dir}/agent.json`));
    assert.equal(agent.subdir_count_per_path, "256");
    const env = await Deno.readTextFile(`${dir}/tracker.env`);
    assert.match(env, /^KEDGE_RESERVED_STORAGE_SPACE=10%$/m);
    // The agent takes it: only the token is missing.
    const { err } = await run(
      ["agent", "--config", `${dir}/agent.json`, "--data", `${dir}/x`],
    );
    assert.match(err, /token/);
    const again = await run(words);
    assert.equal(again.code, 2);
    assert.match(again.err, /exists\n {2}next: move it away/);
    const less = await run(
      ["config", "import", `${dir}/storage.conf`, "--tracker-out", `${dir}/y`],
    );
    assert.match(less.err, /nothing to write .*\n.*tracker.conf as well/);
  }));

Deno.test("a secret is shown nowhere, and written to a file of its own", () =>
  inTemp(async (dir) => {
    const conf = `${dir}/storage.conf`;
    const more = "http.anti_steal.check_token=on\n" +
      "http.anti_steal.secret_key=S3cret\n";
    await Deno.writeTextFile(conf, TUTORIAL_STORAGE + more);
    const out = `${dir}/agent.json`;
    const http = `${dir}/http.conf`;
    await Deno.writeTextFile(http, "http.anti_steal.token_ttl=60\n");
    const words = ["config", "import", conf, http, "--out", out];
    const json = await run([...words, "--json", "--dry-run"]);
    const text = await run(words);
    assert.equal(text.code, 0, text.out + text.err);
    const written = await Deno.readTextFile(out);
    const all = [json.out, json.err, text.out, text.err, written].join();
    assert(!all.includes("S3cret"), all);
    assert.match(
      text.out,
      /kedge agent .*storage.conf --fastdfs-conf .*http.c/,
    );
    assert.equal(JSON.parse(written).download_token_ttl, "60s");
    assert.equal(JSON.parse(written).download_keys_file, `${out}.keys`);
    assert.equal(await Deno.readTextFile(`${out}.keys`), "fastdfs S3cret\n");
    assert.equal((await Deno.stat(`${out}.keys`)).mode ?? 0, 0o100600);
  }));

Deno.test("what is refused is told with its line, and nothing is written or started", () =>
  inTemp(async (dir) => {
    const conf = `${dir}/storage.conf`;
    await Deno.writeTextFile(
      conf,
      TUTORIAL_STORAGE.replace("port=23000", "port=x")
        .replace("use_access_log = false", "use_access_log = true"),
    );
    const out = `${dir}/agent.json`;
    const imported = await run(["config", "import", conf, "--out", out]);
    assert.equal(imported.code, 1);
    assert.match(
      imported.out,
      /storage.conf:5: port = "x" cannot be; write a port/,
    );
    assert.match(imported.out, /storage.conf:46: use_access_log = true is not/);
    assert.doesNotMatch(imported.out, /Start it/);
    await assert.rejects(Deno.stat(out));
    const agent = await run(["agent", "--fastdfs-conf", conf]);
    assert.equal(agent.code, 2);
    assert.match(agent.err, /storage.conf:5: .*\n.*storage.conf:46: /);
    assert.match(agent.err, /next: kedge config import /);
    const lacking = await run(["agent", "--fastdfs-conf", `${dir}/no.conf`]);
    assert.match(lacking.err, /no.conf: there is no such file/);
    const other = await run(["agent", "--fastdfs-conf", `${dir}/tracker.conf`]);
    assert.match(other.err, /no storage.conf is among them/);
    const tracker = await run(["tracker", "--fastdfs-conf", conf]);
    assert.equal(tracker.code, 2);
  }));

Deno.test("a named pipe without a writer is refused at once, a shell's pipe is read", () =>
  inTemp(async (dir) => {
    const pipe = `${dir}/pipe.conf`;
    await new Deno.Command("mkfifo", { args: [pipe] }).output();
    const entry = new URL("../main.ts", import.meta.url).pathname;
    // In a process of its own: what hangs here cannot be interrupted.
    const kedge = async (file: string) => {
      const script =
        `exec timeout -s KILL 20 "$0" run -A --quiet "$1" config import ${file}`;
      const { code, stdout, stderr } = await new Deno.Command("bash", {
        args: ["-c", script, Deno.execPath(), entry],
        cwd: dir,
      }).output();
      return { code, text: new TextDecoder().decode(code ? stderr : stdout) };
    };
    const [named, nameless] = await Promise.all([
      kedge("pipe.conf"),
      kedge("<(cat storage.conf)"),
    ]);
    assert.equal(named.code, 1, named.text);
    assert.match(named.text, /"pipe.conf": it is a named pipe, not a file/);
    assert.equal(nameless.code, 0, nameless.text);
    assert.match(nameless.text, /24 mapped/);
  }));

Deno.test("run_by_user is refused unless the process runs so already, with the line that does", () => {
  const runAs = { user: "fdfs", group: "storage" };
  const who = { uid: 0, gid: 0, wantedUid: 990, wantedGid: 991 };
  assert.match(
    runAsProblem(runAs, who, "agent") ?? "",
    /"setpriv --reuid fdfs --regid storage --init-groups kedge agent …" or with User=fdfs and Group=storage/,
  );
  const right = { ...who, uid: 990, gid: 991 };
  assert.equal(runAsProblem(runAs, right, "agent"), undefined);
  const unknown = { ...who, wantedUid: undefined };
  assert.match(
    runAsProblem(runAs, unknown, "agent") ?? "",
    /there is no user fdfs on this host/,
  );
  const none = { user: undefined, group: undefined };
  assert.equal(runAsProblem(none, who, "agent"), undefined);
  assert.deepEqual(runAsWords(none), []);
  assert.deepEqual(
    runAsWords({ user: undefined, group: "g" }),
    ["setpriv", "--regid", "g", "--clear-groups"],
  );
});

Deno.test("run_by_user of a file is compared with who runs", () =>
  inTemp(async (dir) => {
    const conf = `${dir}/storage.conf`;
    await Deno.writeTextFile(
      conf,
      TUTORIAL_STORAGE.replace("run_by_user=", "run_by_user=no-such-user"),
    );
    const { code, err } = await run(["agent", "--fastdfs-conf", conf]);
    assert.equal(code, 2);
    assert.match(err, /there is no user no-such-user/);
    const { out } = await run(["config", "import", conf]);
    assert.match(out, /setpriv --reuid no-such-user --init-groups kedge agent/);
  }));

Deno.test("log_level leaves out what is below it", () => {
  const said: string[] = [];
  const log = {
    info: (text: string) => void said.push(text),
    warn: (text: string) => void said.push(text),
  };
  atLeast("warn", log).info("a");
  atLeast("warn", log).warn("b");
  atLeast("info", log).info("c");
  assert.deepEqual(said, ["b", "c"]);
});
