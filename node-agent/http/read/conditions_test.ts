import assert from "node:assert/strict";
import { httpDate, mayUseRange, verdictOf } from "./conditions.ts";
import type { Conditions } from "./conditions.ts";

const NOW = 1_795_334_400;
const file = { etag: '"abc"', modifiedS: NOW };
const appender = { etag: '"3-7-00c0ffee"', modifiedS: undefined };
const at = httpDate(NOW);
const before = httpDate(NOW - 1);
const after = httpDate(NOW + 1);

function verdict(
  given: Partial<Conditions>,
  of = file as typeof appender | typeof file,
) {
  const none = {
    ifMatch: null,
    ifNoneMatch: null,
    ifModifiedSince: null,
    ifUnmodifiedSince: null,
  };
  return verdictOf({ ...none, ...given }, of);
}

Deno.test("verdictOf() sends when nothing is asked", () => {
  assert.equal(verdict({}), "send");
});

Deno.test("verdictOf() compares If-None-Match weakly", () => {
  for (
    const ifNoneMatch of ['"abc"', 'W/"abc"', '"x", "abc"', "*", '"x",W/"abc"']
  ) {
    assert.equal(verdict({ ifNoneMatch }), "not-modified", ifNoneMatch);
  }
  for (const ifNoneMatch of ['"ab"', "abc", '"x"', "", 'w/"abc"']) {
    assert.equal(verdict({ ifNoneMatch }), "send", ifNoneMatch);
  }
});

Deno.test("verdictOf() compares If-Match strongly", () => {
  for (const ifMatch of ['"abc"', "*", '"x", "abc"']) {
    assert.equal(verdict({ ifMatch }), "send", ifMatch);
  }
  for (const ifMatch of ['W/"abc"', '"x"', ""]) {
    assert.equal(verdict({ ifMatch }), "failed", ifMatch);
  }
});

Deno.test("verdictOf() compares dates", () => {
  assert.equal(verdict({ ifModifiedSince: at }), "not-modified");
  assert.equal(verdict({ ifModifiedSince: after }), "not-modified");
  assert.equal(verdict({ ifModifiedSince: before }), "send");
  assert.equal(verdict({ ifUnmodifiedSince: at }), "send");
  assert.equal(verdict({ ifUnmodifiedSince: before }), "failed");
  for (const ifModifiedSince of ["yesterday", "2026-11-22", "0", ""]) {
    assert.equal(verdict({ ifModifiedSince }), "send");
  }
});

Deno.test("verdictOf() lets tags win over dates", () => {
  assert.equal(verdict({ ifNoneMatch: '"x"', ifModifiedSince: after }), "send");
  assert.equal(
    verdict({ ifMatch: '"abc"', ifUnmodifiedSince: before }),
    "send",
  );
  assert.equal(
    verdict({ ifMatch: '"abc"', ifNoneMatch: '"abc"' }),
    "not-modified",
  );
});

Deno.test("verdictOf() ignores dates for a file that can change", () => {
  assert.equal(verdict({ ifModifiedSince: after }, appender), "send");
  assert.equal(verdict({ ifUnmodifiedSince: before }, appender), "send");
});

Deno.test("mayUseRange() wants exactly this state", () => {
  assert(mayUseRange(null, file));
  assert(mayUseRange('"abc"', file));
  assert(mayUseRange(at, file));
  assert(!mayUseRange('W/"abc"', file));
  assert(!mayUseRange('"abd"', file));
  assert(!mayUseRange(after, file));
  assert(!mayUseRange(at, appender));
  assert(!mayUseRange("", file));
});
