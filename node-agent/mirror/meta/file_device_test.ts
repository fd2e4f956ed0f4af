import { deepEqual, equal, throws } from "node:assert/strict";
import { DeviceError } from "../raw_device.ts";
import { type FileDevice, openFileDevice } from "./file_device.ts";

const SIZE = 64 * 1024;

/** A file that stands for a disk. */
function withFile(use: (path: string) => void): void {
  const dir = Deno.makeTempDirSync({ prefix: "kedge-test-" });
  try {
    const path = `${dir}/disk`;
    Deno.createSync(path).close();
    Deno.truncateSync(path, SIZE);
    use(path);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

function withDevice(use: (device: FileDevice, path: string) => void): void {
  withFile((path) => {
    const device = openFileDevice(path);
    try {
      use(device, path);
    } finally {
      device.close();
    }
  });
}

/** For `throws`: a {@link DeviceError} with this code. */
function failsWith(code: string) {
  return (error: unknown) => {
    if (!(error instanceof DeviceError)) return false;
    equal(error.code, code);
    return true;
  };
}

Deno.test("what was written is read, through either handle", () => {
  withDevice((device) => {
    equal(device.sizeBytes, SIZE);
    const durable = device.openDurable();
    const bytes = Uint8Array.from({ length: 9000 }, (_, n) => n % 251);
    device.writeAt(bytes, 777);
    device.flush();
    durable.writeAt(bytes.subarray(0, 100), SIZE - 100);
    durable.flush();
    const into = new Uint8Array(9000);
    durable.readAt(into, 777);
    deepEqual(into, bytes);
    device.readAt(into.subarray(0, 100), SIZE - 100);
    deepEqual(into.subarray(0, 100), bytes.subarray(0, 100));
  });
});

Deno.test("nothing outside the disk is touched", () => {
  withDevice((device) => {
    const block = new Uint8Array(512);
    for (const offset of [-1, SIZE - 511, SIZE, NaN, Infinity]) {
      throws(() => device.writeAt(block, offset), failsWith("EINVAL"));
      throws(() => device.readAt(block, offset), failsWith("EINVAL"));
    }
    equal(Deno.statSync(device.path).size, SIZE);
  });
});

Deno.test("a disk has one user", () => {
  withDevice((device, path) => {
    throws(() => openFileDevice(path), failsWith("EBUSY"));
    throws(() => openFileDevice(path, { readOnly: true }), failsWith("EBUSY"));
    device.close();
    device.close();
    const readers = [1, 2].map(() => openFileDevice(path, { readOnly: true }));
    throws(() => openFileDevice(path), failsWith("EBUSY"));
    for (const reader of readers) reader.close();
    openFileDevice(path).close();
  });
});

Deno.test("a file system without locks is refused as any other failure", () => {
  const { tryLockSync } = Deno.FsFile.prototype;
  try {
    Deno.FsFile.prototype.tryLockSync = () => {
      throw new Error("No locks available (os error 37)");
    };
    withFile((path) => throws(() => openFileDevice(path), DeviceError));
  } finally {
    Deno.FsFile.prototype.tryLockSync = tryLockSync;
  }
});

Deno.test("a link to a disk is the same disk", () => {
  withDevice((_device, path) => {
    Deno.symlinkSync(path, `${path}.link`);
    throws(() => openFileDevice(`${path}.link`), failsWith("EBUSY"));
  });
});

Deno.test("a closed disk is not used", () => {
  withDevice((device) => {
    const durable = device.openDurable();
    device.close();
    for (const handle of [device, durable]) {
      throws(() => handle.readAt(new Uint8Array(1), 0), failsWith("EBADF"));
      throws(() => handle.flush(), failsWith("EBADF"));
    }
  });
});

Deno.test("a disk that is not there, or may only be read, says so", () => {
  withFile((path) => {
    throws(() => openFileDevice(`${path}.no`), failsWith("ENOENT"));
    const reader = openFileDevice(path, { readOnly: true });
    throws(() => reader.writeAt(new Uint8Array(1), 0), failsWith("EBADF"));
    reader.close();
  });
});

Deno.test("a disk that got shorter is an error, not zeroes", () => {
  withDevice((device, path) => {
    Deno.truncateSync(path, 4096);
    throws(() => device.readAt(new Uint8Array(8192), 0), failsWith("EIO"));
  });
});
