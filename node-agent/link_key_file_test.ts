import assert from "node:assert/strict";
import { downloadConfig } from "@kedge/schema/config/downloads";
import { KEYS_LOOK_MS } from "./link_key_file.ts";
import { linkRules } from "./link_rules.ts";

const FIRST = "0123456789abcdef";
const SECOND = "fedcba9876543210";

Deno.test("download keys follow their file; what cannot be used changes nothing", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-keys-" });
  const path = `${dir}/keys`;
  const told: string[] = [];
  let nowMs = 0;
  const clock = { monotonicMs: () => nowMs };
  const say = (text: string, facts?: unknown) =>
    void told.push(text + JSON.stringify(facts));
  const log = { info: say, warn: say };
  const write = async (text: string) => {
    await Deno.writeTextFile(`${path}.new`, text);
    await Deno.rename(`${path}.new`, path);
  };
  try {
    await write(`old ${FIRST}\nfastdfs a\n`);
    const config = downloadConfig({
      download_tokens: "both",
      download_token_ttl: 900_000,
      download_keys_file: path,
    });
    const rules = await linkRules(config, { clock, log });
    const names = () => rules?.keys.map(({ id }) => id).join(" ");
    assert.equal(names(), "old fastdfs");

    await write(`new ${SECOND}\nold ${FIRST}\nfastdfs b\nfastdfs a\n`);
    assert.equal(names(), "old fastdfs", "it is not looked at for every link");
    nowMs += KEYS_LOOK_MS;
    assert.equal(names(), "new old fastdfs fastdfs");

    for (const bad of ["", "short x\n", `new ${SECOND}\n`]) {
      await write(bad);
      nowMs += KEYS_LOOK_MS;
      assert.equal(names(), "new old fastdfs fastdfs", bad);
    }
    await Deno.remove(path);
    nowMs += KEYS_LOOK_MS;
    assert.equal(names(), "new old fastdfs fastdfs");
    nowMs += KEYS_LOOK_MS;
    names();
    assert.equal(told.length, 5, "each state is told once");

    await write(`new ${SECOND}\nfastdfs b\n`);
    nowMs += KEYS_LOOK_MS;
    assert.equal(names(), "new fastdfs");
    assert(![FIRST, SECOND].some((secret) => told.join().includes(secret)));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("download keys may come through a pipe, which is read once", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-keys-" });
  const path = `${dir}/pipe`;
  await new Deno.Command("mkfifo", { args: [path] }).output();
  const script = 'printf "old %s\\n" "$0" > "$1"';
  const writer = new Deno.Command("sh", {
    args: ["-c", script, FIRST, path],
  }).spawn();
  let nowMs = 0;
  const told: string[] = [];
  const say = (text: string) => void told.push(text);
  try {
    const config = downloadConfig({
      download_tokens: "signed",
      download_token_ttl: 900_000,
      download_keys_file: path,
    });
    const clock = { monotonicMs: () => nowMs };
    const log = { info: say, warn: say };
    const rules = await linkRules(config, { clock, log });
    for (let look = 0; look < 2; look++) {
      assert.deepEqual(rules?.keys.map(({ id }) => id), ["old"]);
      nowMs += KEYS_LOOK_MS; // nobody writes any more: a read would wait
    }
    assert.deepEqual(told, []);
    await writer.status;
  } finally {
    try {
      writer.kill(); // it waits when nobody read
    } catch {
      // It has ended.
    }
    await Deno.remove(dir, { recursive: true });
  }
});
