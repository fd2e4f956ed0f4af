import assert from "node:assert/strict";
import fc from "fast-check";
import { attachment } from "./content_disposition.ts";

Deno.test("attachment() writes plain names plainly", () => {
  assert.equal(attachment("a b.txt"), 'attachment; filename="a b.txt"');
  assert.equal(attachment(""), "attachment");
});

Deno.test("attachment() gives names in any script, with an ASCII stand-in", () => {
  assert.equal(
    attachment("naïve 文.txt"),
    'attachment; filename="na_ve _.txt"; ' +
      "filename*=UTF-8''na%C3%AFve%20%E6%96%87.txt",
  );
  assert.equal(
    attachment('a"b\\c.txt'),
    "attachment; filename=\"a_b_c.txt\"; filename*=UTF-8''a%22b_c.txt",
  );
});

Deno.test("attachment() keeps no path, no control character, no hidden file", () => {
  assert.equal(
    attachment("../../etc/passwd"),
    'attachment; filename="___.._etc_passwd"',
  );
  assert.equal(attachment("a\r\nx: y"), 'attachment; filename="a__x: y"');
  assert.equal(attachment("\u202egpj.exe"), 'attachment; filename="_gpj.exe"');
});

Deno.test("attachment() is always one safe header", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (name) => {
    const header = attachment(name);
    assert.match(header, /^[\x20-\x7e]*$/);
    assert.equal((header.match(/"/g) ?? []).length % 2, 0);
    new Headers({ "content-disposition": header });
    const encoded = /filename\*=UTF-8''(.*)$/.exec(header)?.[1];
    if (encoded !== undefined) decodeURIComponent(encoded);
  }));
});
