import assert from "node:assert/strict";
import { pause } from "./pause.ts";

/** A signal that knows how many listen to it. */
function counted() {
  const control = new AbortController();
  const { signal } = control;
  const listening = new Set<unknown>();
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listening.add(args[1]);
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listening.delete(args[1]);
    remove(...args);
  };
  return { control, listening };
}

Deno.test("a pause leaves no listener behind: the peer may be away for weeks", async () => {
  const { control, listening } = counted();
  const paused = pause(1, control.signal);
  assert.equal(listening.size, 1);
  await paused;
  assert.equal(listening.size, 0);
});

Deno.test("an abort ends a pause, before or while it lasts", async () => {
  const { control, listening } = counted();
  const paused = pause(1e6, control.signal);
  control.abort();
  await paused;
  assert.equal(listening.size, 0);
  await pause(1e6, control.signal);
});
