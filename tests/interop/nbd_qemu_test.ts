/** QEMU's programs, a second implementation, against our server. */

import assert from "node:assert/strict";
import { isInstalled, run } from "../helpers/child.ts";
import { startNbdProcess } from "../helpers/nbd_process.ts";
import { Random } from "../helpers/random.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";

const MIB = 1024 * 1024;
const isMissing = !await isInstalled("qemu-io") ||
  !await isInstalled("qemu-img");
if (isMissing) say("nbd_qemu_test: skipped without qemu-utils");

async function out(...command: [string, ...string[]]): Promise<string> {
  const bounded: [string, ...string[]] = ["timeout", "60", ...command];
  const { code, stdout, stderr } = await run(bounded);
  assert.equal(code, 0, `${command.join(" ")}:\n${stdout}${stderr}`);
  return stdout + stderr;
}

Deno.test({
  name: "qemu-img: info, map, convert both ways, compare",
  ignore: isMissing,
  async fn() {
    await using scope = new Scope();
    const sizeBytes = 24 * MIB;
    const server = await startNbdProcess(scope, { sizeBytes });
    const dir = await scope.tempDir();
    const content = new Random(11).bytes(sizeBytes);
    content.fill(0, 3 * MIB, 8 * MIB);
    await Deno.writeFile(`${dir}/in`, content);
    for (const uri of [server.uri(), server.unixUri()]) {
      const info = JSON.parse(
        await out("qemu-img", "info", "--output=json", uri),
      );
      assert.equal(info["virtual-size"], sizeBytes);
      const map = JSON.parse(
        await out("qemu-img", "map", "-f", "raw", "--output=json", uri),
      );
      assert.equal(map[0].length, sizeBytes);
      const raw = ["-f", "raw", "-O", "raw"];
      await out("qemu-img", "convert", "-n", ...raw, `${dir}/in`, uri);
      assert.deepEqual(await Deno.readFile(server.image), content);
      await out(
        "qemu-img",
        "compare",
        "-f",
        "raw",
        "-F",
        "raw",
        `${dir}/in`,
        uri,
      );
      await out("qemu-img", "convert", ...raw, uri, `${dir}/out`);
      assert.deepEqual(await Deno.readFile(`${dir}/out`), content);
    }
  },
});

Deno.test({
  name: "qemu-io: patterns, FUA, zeroes, discard, unaligned and asynchronous",
  ignore: isMissing,
  async fn() {
    await using scope = new Scope();
    const server = await startNbdProcess(scope, { sizeBytes: 16 * MIB });
    const commands = [
      ...["write -P 0x5a 0 64k", "write -f -P 1 64k 4k", "write -z -u 0 4k"],
      ...["write -z 8k 4k", "discard 64k 64k", "flush"],
      ...["aio_write -q -P 7 1M 64k", "aio_write -q -P 8 2M 3M", "aio_flush"],
      ...["read -P 0 0 4k", "read -P 0x5a 4k 4k", "read -P 0 8k 4k"],
      ...["read -P 0x5a 12k 52k", "read -P 7 1M 64k", "read -P 8 2M 3M"],
      ...["write -P 9 777 1111", "read -P 9 777 1111", "read -P 0 1888 100"],
    ];
    for (const uri of [server.uri(), server.unixUri()]) {
      await out("qemu-io", "-f", "raw", "-c", "write -z 0 16M", uri);
      const said = await out(
        ...["qemu-io", "-f", "raw"] as const,
        ...commands.flatMap((command) => ["-c", command]),
        uri,
      );
      assert.doesNotMatch(said, /failed|error|mismatch/i);
    }
  },
});

Deno.test({
  name: "qemu-img bench: reads, writes with flushes, FUA on each",
  ignore: isMissing,
  async fn() {
    await using scope = new Scope();
    const server = await startNbdProcess(scope, { sizeBytes: 64 * MIB });
    const modes = [
      ["-t", "none"],
      ["-w", "-t", "none", "--flush-interval=32"],
      ["-w", "-t", "writethrough", "-c", "500"],
    ];
    for (const mode of modes) {
      const how = ["-f", "raw", "-s", "4k", "-d", "32", "-c", "3000"];
      await out("qemu-img", "bench", ...how, ...mode, server.uri());
    }
  },
});

Deno.test({
  name: "qemu-nbd lists the exports",
  ignore: isMissing,
  async fn() {
    await using scope = new Scope();
    const server = await startNbdProcess(scope, { sizeBytes: MIB });
    const port = String(server.port);
    const listed = await out(
      "qemu-nbd",
      "--list",
      "-b",
      "127.0.0.1",
      "-p",
      port,
    );
    assert.match(listed, /export: 'disk'/);
    assert.match(listed, /base:allocation/);
  },
});
