/** libnbd's programs, and fio's nbd engine, against our server as a process. */

import assert from "node:assert/strict";
import { attachWords } from "../../node-agent/mirror/host/device_node_kernel.ts";
import { isInstalled, run } from "../helpers/child.ts";
import { startNbdProcess } from "../helpers/nbd_process.ts";
import { Random } from "../helpers/random.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";

const MIB = 1024 * 1024;
const PROGRAMS = ["nbdinfo", "nbdcopy", "nbdsh", "fio", "nbd-client"] as const;
const missing = new Set<string>();
for (const program of PROGRAMS) {
  if (await isInstalled(program)) continue;
  missing.add(program);
  say(`nbd_libnbd_test: skipped without ${program} (.ci/packages.txt)`);
}

/** Run a program that must succeed; gives its output. */
async function out(...command: [string, ...string[]]): Promise<string> {
  // Debian's python module belongs to /usr/bin/python3.
  const env = { PATH: `/usr/bin:/bin:${Deno.env.get("PATH") ?? ""}` };
  const bounded: [string, ...string[]] = ["timeout", "60", ...command];
  const { code, stdout, stderr } = await run(bounded, { env });
  assert.equal(code, 0, `${command.join(" ")}:\n${stdout}${stderr}`);
  return stdout;
}

Deno.test({
  name: "nbdinfo sees the export as it is, on TCP and on a Unix socket",
  ignore: missing.has("nbdinfo"),
  async fn() {
    await using scope = new Scope();
    const server = await startNbdProcess(scope, { sizeBytes: 3 * MIB });
    for (const uri of [server.uri(), server.uri(""), server.unixUri()]) {
      const { exports: [found] } = JSON.parse(
        await out("nbdinfo", "--json", uri),
      );
      assert.equal(found["export-size"], 3 * MIB);
      assert.equal(found.description, "the file disk");
      assert.equal(found.is_read_only, false);
      assert.equal(found.can_multi_conn, true);
      assert.equal(found.block_size_maximum, 32 * MIB);
      assert.deepEqual(found.contexts, ["base:allocation"]);
    }
    const can = ["flush", "fua", "trim", "zero", "df", "cache", "fast-zero"];
    for (const what of can) await out("nbdinfo", "--can", what, server.uri());
    const map = JSON.parse(
      await out("nbdinfo", "--map", "--json", server.uri()),
    );
    assert.deepEqual(
      map.map(({ offset, length, type }: Record<string, number>) => [
        offset,
        length,
        type,
      ]),
      [[0, 3 * MIB, 0]],
    );
  },
});

Deno.test({
  name: "nbdinfo and nbd-client list all exports",
  ignore: missing.has("nbdinfo") || missing.has("nbd-client"),
  async fn() {
    await using scope = new Scope();
    const file = `${await scope.tempDir()}/second`;
    await Deno.writeFile(file, new Uint8Array(MIB));
    const args = ["--single", `ro:second=${file}`];
    const options = { sizeBytes: 3 * MIB, args };
    const server = await startNbdProcess(scope, options);
    const { exports } = JSON.parse(
      await out("nbdinfo", "--list", "--json", server.uri("")),
    );
    assert.deepEqual(
      exports.map((each: Record<string, unknown>) => [
        each["export-name"],
        each.is_read_only,
        each.can_multi_conn,
      ]),
      [["disk", false, false], ["second", true, false]],
    );
    const port = String(server.port);
    const listed = await out("nbd-client", "-l", "127.0.0.1", "-p", port);
    assert.match(listed, /disk[\s\S]*second/);
  },
});

Deno.test({
  name: "nbd-client takes the mirror's words and negotiates its export",
  ignore: missing.has("nbd-client"),
  async fn() {
    await using scope = new Scope();
    const server = await startNbdProcess(scope, { sizeBytes: 3 * MIB });
    const socket = new URL(server.unixUri()).searchParams.get("socket") ?? "";
    // Such a device is nowhere: the driver is not needed to be refused there.
    const attach = (exportName: string) =>
      run([
        ...["timeout", "20", "/usr/sbin/nbd-client"] as const,
        ...attachWords({ socket, exportName }, "/dev/nbd-nowhere"),
      ]);
    const { stdout, stderr } = await attach("disk");
    assert.match(stdout + stderr, /Negotiation: \.\.size = 3MB/);
    const other = await attach("nosuch");
    assert.notEqual(other.code, 0);
    assert.match(other.stdout + other.stderr, /no export "nosuch"/i);
  },
});

Deno.test({
  name: "nbdcopy writes and reads back, with four connections",
  ignore: missing.has("nbdcopy"),
  async fn() {
    await using scope = new Scope();
    const sizeBytes = 24 * MIB;
    const server = await startNbdProcess(scope, { sizeBytes });
    const dir = await scope.tempDir();
    const content = new Random(7).bytes(sizeBytes);
    content.fill(0, 5 * MIB, 9 * MIB); // a hole for nbdcopy to zero
    await Deno.writeFile(`${dir}/in`, content);
    await Deno.writeFile(server.image, new Uint8Array(sizeBytes).fill(0xee));
    for (const uri of [server.uri(), server.unixUri()]) {
      await out(
        ...["nbdcopy", "--connections=4", "--requests=64"] as const,
        ...["--flush", `${dir}/in`, uri],
      );
      assert.deepEqual(await Deno.readFile(server.image), content);
      await out("nbdcopy", "--connections=4", uri, `${dir}/out`);
      assert.deepEqual(await Deno.readFile(`${dir}/out`), content);
    }
    const large = ["--request-size=33554432", "--connections=1"];
    await out("nbdcopy", ...large, server.uri(), `${dir}/large`);
    assert.deepEqual(await Deno.readFile(`${dir}/large`), content);
  },
});

const NBDSH = `
import errno
size = h.get_size()
h.pwrite(b"x" * 4096, 0, nbd.CMD_FLAG_FUA)
h.flush()
assert h.pread(4096, 0) == b"x" * 4096
def whole(length, offset):
    pieces = []
    take = lambda data, at, status, err: pieces.append((data, at, status))
    h.pread_structured(length, offset, take, nbd.CMD_FLAG_DF)
    assert len(pieces) == 1 and pieces[0][1:] == (offset, nbd.READ_DATA), pieces
    return pieces[0][0]
assert whole(4096, 0) == b"x" * 4096
h.zero(2048, 1024)
assert h.pread(4096, 0) == b"x" * 1024 + bytes(2048) + b"x" * 1024
h.zero(512, 0, nbd.CMD_FLAG_NO_HOLE | nbd.CMD_FLAG_FUA)
h.trim(1024 * 1024, 1024 * 1024)
h.cache(4096, 0)
big = bytes(range(251)) * 40000
h.pwrite(big, 1234567)
assert h.pread(len(big), 1234567) == big
assert whole(len(big), 1234567) == big
# 64 in flight, each with its own content
buffers = [nbd.Buffer.from_bytearray(bytearray([i]) * 4096) for i in range(64)]
cookies = [h.aio_pwrite(b, 1048576 + 4096 * i) for i, b in enumerate(buffers)]
while h.aio_in_flight() > 0:
    h.poll(-1)
for c in cookies:
    assert h.aio_command_completed(c)
for i in range(64):
    assert h.pread(4096, 1048576 + 4096 * i) == bytes([i]) * 4096
extents = []
h.block_status(65536, 0, lambda name, offset, e, err: extents.append((name, e)))
assert extents == [("base:allocation", [65536, 0])], extents
# wrong requests, past libnbd's own checks
h.set_strict_mode(0)
def fails(wanted, call):
    try:
        call()
    except nbd.Error as ex:
        assert ex.errnum == wanted, (ex.errnum, wanted)
        return
    raise AssertionError("no error")
fails(errno.EINVAL, lambda: h.pread(1, size))
fails(errno.ENOSPC, lambda: h.pwrite(b"x", size))
fails(errno.ENOSPC, lambda: h.zero(2, size - 1))
fails(errno.EINVAL, lambda: h.trim(2, size - 1))
fails(errno.EINVAL, lambda: h.cache(1, size))
fails(errno.EINVAL, lambda: h.block_status(1, size, lambda *a: 0))
fails(errno.EINVAL, lambda: h.pwrite(b"x", 0, nbd.CMD_FLAG_REQ_ONE))
fails(errno.ENOTSUP, lambda: h.zero(512, 0, nbd.CMD_FLAG_FAST_ZERO))
assert h.pread(4, 512) == b"xxxx"
`;

Deno.test({
  name: "nbdsh: every command, flag and error, and 64 requests in flight",
  ignore: missing.has("nbdsh"),
  async fn() {
    await using scope = new Scope();
    const server = await startNbdProcess(scope, { sizeBytes: 32 * MIB });
    for (const uri of [server.uri(), server.unixUri()]) {
      await out("nbdsh", "--base-allocation", "-u", uri, "-c", NBDSH);
    }
    const simple = "h.set_request_structured_replies(False)";
    const connect = `h.connect_uri("${server.uri()}")`;
    const read = "assert len(h.pread(9000000, 77)) == 9000000";
    await out("nbdsh", "-c", simple, "-c", connect, "-c", read);
  },
});

Deno.test({
  name: "fio verifies what it wrote: small, mixed and large requests",
  ignore: missing.has("fio"),
  async fn() {
    await using scope = new Scope();
    const server = await startNbdProcess(scope, { sizeBytes: 64 * MIB });
    const verify = ["--verify=crc32c", "--verify_fatal=1", "--size=32M"];
    const shapes = [
      ["--rw=randwrite", "--bs=4k", "--iodepth=16", "--fsync=32"],
      ["--rw=randwrite", "--bsrange=512-1M", "--iodepth=64"],
      ["--rw=randwrite", "--bsrange=1k-300k", "--bs_unaligned", "--iodepth=8"],
      ["--rw=write", "--bs=4M", "--iodepth=4", "--fsync=2"],
      ["--rw=randrw", "--bs=4k", "--iodepth=32", "--numjobs=1"],
    ];
    const dir = await scope.tempDir();
    for (const shape of shapes) {
      await out(
        ...["fio", "--name=v", "--ioengine=nbd"] as const,
        ...[`--uri=${server.uri()}`, `--aux-path=${dir}`],
        ...[...verify, ...shape],
      );
    }
  },
});
