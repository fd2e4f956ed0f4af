/**
 * Short ways to upload through a door.
 *
 * @module
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { FakeDoor } from "./fake_door.ts";
import type { Ask } from "./fake_door.ts";

/** A checksum of a text. */
export const hash = (
  name: string,
  text: string,
  form: "hex" | "base64" = "hex",
) => createHash(name).update(text).digest(form);

/** More than fits inline. */
export const LARGE = new Uint8Array(200_000).map((_, at) => at % 253);

/** Upload. */
export function put(door: FakeDoor, path: string, ask: Ask): Promise<Response> {
  return door.ask(path, { method: "PUT", cap: {}, ...ask });
}

/** Nothing was stored. */
export function isEmpty(door: FakeDoor): void {
  assert.equal(door.files.stored.size, 0);
  assert.equal(door.files.staging.size, 0);
}

/** The state of a stored file. */
export function entryOf(door: FakeDoor, id: string) {
  const entry = door.files.lookup(id);
  assert(entry);
  return entry;
}

/** A body that comes in pieces, and may break. */
export function pieces(...list: (string | Uint8Array | Error)[]) {
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      const next = list.shift();
      if (next === undefined) controller.close();
      else if (next instanceof Error) controller.error(next);
      else if (typeof next === "string") {
        controller.enqueue(new TextEncoder().encode(next));
      } else controller.enqueue(next);
    },
  });
}

/** A form with fields before its file; `end` closes it. */
export function form(
  parts: Record<string, string>,
  file = "hello",
  end = "--",
) {
  const fields = Object.entries(parts).map(([name, value]) =>
    `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
  );
  return `${fields.join("")}--b\r\nContent-Disposition: form-data; ` +
    `name="file"; filename="photo.png"\r\nContent-Type: image/png\r\n\r\n` +
    `${file}\r\n--b${end}\r\n`;
}
