import assert from "node:assert/strict";
import { BlockErrno } from "../block_ports.ts";
import { FileDevice, type FileDeviceOptions } from "./file_device.ts";

const SIZE_BYTES = 1 << 20;

async function withDevice(
  options: FileDeviceOptions,
  act: (device: FileDevice, path: string) => Promise<void> | void,
): Promise<void> {
  const path = await Deno.makeTempFile({ prefix: "kedge-test-" });
  await Deno.truncate(path, SIZE_BYTES);
  const device = FileDevice.open(path, options);
  try {
    await act(device, path);
  } finally {
    device.close();
    await Deno.remove(path);
  }
}

/** Syncs that end when the test says so. */
function syncByHand() {
  const waiting: ((error: Error | null) => void)[] = [];
  const sync: FileDeviceOptions["sync"] = (_fd, done) => waiting.push(done);
  return { waiting, sync };
}

Deno.test("FileDevice.flush() is shared by all that wait together", async () => {
  const { waiting, sync } = syncByHand();
  await withDevice({ sync }, (device) => {
    const answers: string[] = [];
    const flush = (name: string) =>
      device.flush((errno) => answers.push(`${name} ${errno}`));
    flush("a");
    flush("b");
    assert.equal(waiting.length, 0); // until the batch ends
    device.settle();
    assert.equal(waiting.length, 1);
    // What comes now may not be covered by the sync that runs.
    flush("c");
    flush("d");
    device.settle();
    assert.equal(waiting.length, 1);
    waiting[0]?.(null);
    assert.deepEqual(answers, ["a 0", "b 0"]);
    assert.equal(waiting.length, 2);
    waiting[1]?.(null);
    assert.deepEqual(answers.slice(2), ["c 0", "d 0"]);
    device.settle();
    assert.equal(waiting.length, 2);
  });
});

Deno.test("FileDevice: a write with FUA is answered by a sync behind it", async () => {
  const { waiting, sync } = syncByHand();
  await withDevice({ sync }, async (device, path) => {
    const answers: number[] = [];
    device.write(4096, new Uint8Array(8).fill(1), true, (e) => answers.push(e));
    device.settle();
    assert.deepEqual(answers, []);
    waiting[0]?.(null);
    assert.deepEqual(answers, [0]);
    const found = (await Deno.readFile(path)).slice(4095, 4105);
    assert.equal(found.toHex(), "00" + "01".repeat(8) + "00");
  });
});

Deno.test("FileDevice: after a failed sync nothing is written or promised", async () => {
  const { waiting, sync } = syncByHand();
  await withDevice({ sync }, (device) => {
    const answers: number[] = [];
    const answer = (errno: number) => answers.push(errno);
    device.flush(answer);
    device.settle();
    device.flush(answer); // waits for the next one, which is not tried
    waiting[0]?.(new Error("EIO"));
    assert.equal(waiting.length, 1);
    device.write(0, new Uint8Array(8), false, answer);
    assert.deepEqual(answers, [5, 5, 5]);
    device.read(0, new Uint8Array(8), answer);
    assert.equal(answers.at(-1), BlockErrno.OK);
  });
});

Deno.test("FileDevice.writeZeroes() zeroes a long range, part by part", async () => {
  await withDevice({}, async (device, path) => {
    await Deno.writeFile(path, new Uint8Array(SIZE_BYTES).fill(7));
    const options = { fua: true, mayPunch: true, fastOnly: false };
    const errno = await new Promise((resolve) =>
      device.writeZeroes(1000, 700_000, options, resolve)
    );
    assert.equal(errno, 0);
    const expected = new Uint8Array(SIZE_BYTES).fill(7).fill(0, 1000, 701_000);
    assert.deepEqual(new Uint8Array(await Deno.readFile(path)), expected);
  });
});

Deno.test("FileDevice.read() beyond the file's end is an error", async () => {
  await withDevice({}, (device) => {
    device.read(SIZE_BYTES - 4, new Uint8Array(8), (errno) => {
      assert.equal(errno, BlockErrno.EIO);
    });
  });
});
