import assert from "node:assert/strict";
import fc from "fast-check";
import { unknownId } from "../../tests/helpers/fake_ports.ts";
import { isFileLike, isFilePath, resourceOf, targetOf } from "./target.ts";

Deno.test("targetOf() splits without decoding", () => {
  assert.deepEqual(targetOf("http://h:1/a/%2e%2e//b?x=/y#z"), {
    path: "/a/%2e%2e//b",
    query: "x=/y",
  });
  assert.deepEqual(targetOf("https://h"), { path: "/", query: "" });
  assert.deepEqual(targetOf("http://h/a#b?c"), { path: "/a", query: "" });
  assert.deepEqual(targetOf("http://h/a?"), { path: "/a", query: "" });
});

Deno.test("isFilePath() takes whole file IDs only", () => {
  const id = unknownId();
  assert(isFilePath(`/${id}`));
  const hostile = [
    `/${id}/`,
    `//${id}`,
    `/${id}%00`,
    `/${id.replace("/M00/", "/../M00/")}`,
    `/${id.replace("/M00/", "/M00/../")}`,
    `/${id.replace("/M00/", "/M00//")}`,
    `/${id.replace("M00", "M0g")}`,
    `/${id.replace("M00", "%4d00")}`,
    `/group1/M00/00/00/${"a".repeat(33)}`,
    `/group1/M00/00/00/${"a".repeat(74)}`,
    `/group1/M00/00/00/..%2f${"a".repeat(34)}`,
    `/group1/M00/00/00/${"a".repeat(34)}\0`,
    `/group1/M00/00/00/${"a".repeat(34)}\n`,
    `/${"g".repeat(17)}/M00/00/00/${"a".repeat(34)}`,
  ];
  for (const path of hostile) assert(!isFilePath(path), path);
});

Deno.test("isFilePath() never takes a path that a file system could leave by", () => {
  const part = fc.constantFrom("..", ".", "", "%2e", "\0", "\\", "M00", "a");
  const path = fc.array(part, { maxLength: 7 }).map((list) => list.join("/"));
  fc.assert(fc.property(path, (text) => {
    assert(!isFilePath(`/${text}`));
    if (/\.\.|%|\\|\/\//.test(`/${text}`)) assert(isFileLike(`/${text}`));
  }));
});

Deno.test("resourceOf() names resources and what is in their path", () => {
  const id = unknownId();
  assert.deepEqual(resourceOf(`/v1/files/${id}/meta`), {
    pattern: "/v1/files/ID/meta",
    id,
    name: "",
  });
  assert.equal(resourceOf(`/v1/files/${id}`).pattern, "/v1/files/ID");
  assert.deepEqual(resourceOf("/v1/files/a%20b.txt"), {
    pattern: "/v1/files/NAME",
    id: "",
    name: "a%20b.txt",
  });
  assert.equal(resourceOf("/v1/files").pattern, "/v1/files");
  for (const path of ["/v1/files/a/b", `/v1/files/${id}/a/b`, "/x"]) {
    assert.equal(resourceOf(path).pattern, path);
  }
});
