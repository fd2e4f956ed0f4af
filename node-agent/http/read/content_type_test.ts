import assert from "node:assert/strict";
import { isShown, UNKNOWN_TYPE } from "@kedge/schema/content-types";
import { contentType, storedType } from "./content_type.ts";

const id = (tail: string) => `group1/M00/00/00/${"A".repeat(27)}${tail}`;
const byName = (tail: string) => contentType({ id: id(tail), type: null });

Deno.test("contentType() prefers what was stored", () => {
  assert.equal(contentType({ id: id("123.jpg"), type: "a/b" }), "a/b");
});

Deno.test("contentType() reads the extension of the ID", () => {
  assert.equal(byName("123.jpg"), "image/jpeg");
  assert.equal(byName("123.JPG"), "image/jpeg");
  assert.equal(byName(".tar.gz"), "application/gzip");
  assert.equal(byName("1.a.png"), "image/png");
  assert.equal(byName("1234567"), UNKNOWN_TYPE);
  assert.equal(byName("12.nope"), UNKNOWN_TYPE);
  assert.equal(byName("_constructor.toString"), UNKNOWN_TYPE);
});

Deno.test("isShown() shows pictures, sound, video and plain text only", () => {
  for (const type of ["image/png", "video/mp4", "text/plain; charset=utf-8"]) {
    assert(isShown(type), type);
  }
  const dangerous = [
    "text/html",
    "TEXT/HTML",
    "text/html; charset=utf-8",
    "image/svg+xml",
    "image/svg",
    "application/xhtml+xml",
    "text/xml",
    "application/xml",
    "text/javascript",
    "application/pdf",
    "text/xsl",
    "multipart/related",
    "message/rfc822",
    "application/x-shockwave-flash",
    "",
  ];
  for (const type of dangerous) assert(!isShown(type), type);
});

Deno.test("storedType() keeps what a client meant", () => {
  assert.equal(storedType(" Image/PNG "), "image/png");
  assert.equal(
    storedType("text/plain; charset=utf-8"),
    "text/plain; charset=utf-8",
  );
  assert.equal(storedType('a/b; x="y z"'), 'a/b; x="y z"');
  for (
    const unmeant of [
      null,
      "",
      UNKNOWN_TYPE,
      "application/x-www-form-urlencoded",
    ]
  ) {
    assert.equal(storedType(unmeant), null);
  }
  for (
    const bad of ["png", "a/b\u00e9", "a/b; c", "a/b, c/d", "a".repeat(300)]
  ) {
    assert.equal(storedType(bad), undefined, bad);
  }
});
