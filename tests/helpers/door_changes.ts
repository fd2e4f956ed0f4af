/**
 * Short ways to change a file through a door.
 *
 * @module
 */

import { FakeDoor } from "./fake_door.ts";
import type { Ask } from "./fake_door.ts";
import type { CapabilityAction } from "@kedge/schema/capability";

/** A door with one appender file. */
export async function appender(body = "hello") {
  const door = new FakeDoor();
  const { id } = await door.upload(body, "/v1/files/log.txt?appender=1");
  return { door, id };
}

/** Send one change with its capability. */
export function change(
  door: FakeDoor,
  { id, action, path = "" }: {
    id: string;
    action: CapabilityAction;
    path?: string;
  },
  ask: Ask = {},
) {
  const cap = { a: action, f: id };
  return door.ask(`/v1/files/${id}${path}`, { cap, ...ask });
}

/** Append to a file. */
export const append = (door: FakeDoor, id: string, ask: Ask) =>
  change(door, { id, action: "append", path: "/append" }, {
    method: "POST",
    ...ask,
  });

/** Replace a part of a file. */
export const modify = (
  door: FakeDoor,
  id: string,
  offset: unknown,
  ask: Ask,
) => {
  const path = `/content?offset=${offset}`;
  return change(door, { id, action: "modify", path }, {
    method: "PUT",
    ...ask,
  });
};

/** Cut a file. */
export const truncate = (
  door: FakeDoor,
  id: string,
  size: unknown,
  ask: Ask = {},
) => {
  const path = `/truncate?size=${size}`;
  return change(door, { id, action: "truncate", path }, {
    method: "POST",
    ...ask,
  });
};

/** Change metadata. */
export const setMeta = (
  door: FakeDoor,
  id: string,
  method: string,
  meta: unknown,
  more: Ask = {},
) => {
  const body = JSON.stringify(meta);
  return change(door, { id, action: "set-meta", path: "/meta" }, {
    method,
    body,
    ...more,
  });
};

/** The content of a file as text. */
export const text = async (door: FakeDoor, id: string) =>
  await (await door.ask(`/${id}`)).text();
