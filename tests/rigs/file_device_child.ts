/**
 * Uses a disk under faults, and says how each call went: `ok` or its code.
 *
 * @module
 */

import { openFileDevice } from "../../node-agent/mirror/meta/file_device.ts";
import { DeviceError } from "../../node-agent/mirror/raw_device.ts";

const encoder = new TextEncoder();

function tell(what: string, act: () => void): void {
  let how = "ok";
  try {
    act();
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    how = error.code;
  }
  Deno.stdout.writeSync(encoder.encode(`${what} ${how}\n`));
}

const device = openFileDevice(Deno.args[0] ?? "");
const durable = device.openDurable();
const block = new Uint8Array(8192).fill(0x5a);
tell("write", () => device.writeAt(block, 4096));
tell("flush", () => device.flush());
tell("write", () => device.writeAt(block, 0));
tell("flush", () => device.flush());
tell("durable", () => durable.writeAt(block, 16_384));
tell("durable", () => durable.writeAt(block, 32_768));
tell("read", () => device.readAt(new Uint8Array(100), 0));
device.close();
